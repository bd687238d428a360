// What the signs mean, and which keys there are.

function showLegend() {
  const picture = (paint) => {
    const made = element("canvas", {
        width: 56,
        height: 32,
        style: "width:28px;height:16px",
        "aria-hidden": "true",
      }),
      c = made.getContext("2d");
    c.scale(2, 2);
    c.textBaseline = "middle";
    paint(c);
    return made;
  };
  const box = (style, line, bottom) => (c) => {
    c.fillStyle = style;
    c.fillRect(0, 1, 28, 14);
    if (line) {
      c.fillStyle = line;
      c.fillRect(0, bottom ? 12 : 1, 28, 3);
    }
  };
  const bar = (outcome, call) => (c) => operationBar(c, { outcome, call }, 2, 2, 11, 12);
  const mark = (kind) => (c) => glyph(c, kind, 14, 8, 5.5);
  const rows = [
    [box(colour["leader-fill"], colour.leader), "leader"],
    [bar(0, "put"), "write, ok"],
    [box(colour["follower-fill"]), "follower"],
    [bar(0, "get"), "read, ok"],
    [box(colour["candidate-fill"], colour.unknown, true), "candidate"],
    [bar(1, "put"), "fail: no effect"],
    [box(hatches.down), "down"],
    [bar(2, "put"), "unknown"],
    [box(hatches.paused), "paused"],
    [
      (c) => {
        c.fillStyle = hatches.fault;
        c.fillRect(0, 2, 28, 12);
        c.fillStyle = colour.fault;
        c.fillRect(0, 2, 3, 12);
      },
      "fault, until undone",
    ],
    [mark("started"), "starts, resumes"],
    [mark("killed"), "killed, panics"],
    [mark("won"), "wins an election"],
    [mark("timeout"), "hears no leader"],
    [mark("election-failed"), "election lost"],
    [mark("step-down"), "steps down"],
    [mark("truncated"), "log truncated"],
    [mark("lost-unsynced"), "unsynced data lost"],
    [mark("disk-struck"), "a disk's fault strikes, a file is edited"],
    [mark("disk-fault"), "a disk's fault begins or ends"],
    [mark("clock"), "a clock is set wrong or right"],
    [box(colour["failed-fill"], colour.violated), "others list it as failed"],
    [box(colour["candidate-fill"], colour.unknown), "others suspect it"],
    [box(colour["down-fill"], colour["down-line"]), "others list it as left"],
    [box(colour.wash, colour["line-strong"]), "others do not know it"],
    [box(colour["leader-fill"], colour.leader), "instances of a service that pass"],
    [box(colour["candidate-fill"], colour.unknown), "instances with a warning"],
    [box(colour["failed-fill"], colour.violated), "instances that are critical"],
    [mark("member-joined"), "is told that one has joined"],
    [mark("member-failed"), "is told that one has failed"],
    [mark("member-left"), "is told that one has left"],
    [mark("refuted"), "contradicts what is said of it"],
    [mark("user-event"), "is given a user event"],
    [mark("command"), "a command ran on it"],
    [
      (c) => {
        c.strokeStyle = colour.commit;
        c.lineWidth = 1.5;
        c.beginPath();
        c.moveTo(0, 13);
        c.lineTo(9, 13);
        c.lineTo(9, 8);
        c.lineTo(18, 8);
        c.lineTo(18, 3);
        c.lineTo(28, 3);
        c.stroke();
      },
      "commit index",
    ],
    [
      (c) => {
        c.fillStyle = colour.fail;
        c.fillRect(4, 9, 8, 6);
        c.fillRect(13, 11, 8, 4);
      },
      "messages lost",
    ],
  ];
  fill(
    "legend",
    element("h2", {}, "Legend"),
    element(
      "ul",
      {},
      rows.map(([paint, label]) => element("li", {}, picture(paint), label)),
    ),
  );
}

function showHelp() {
  const keys = [
    ["wheel, + −", "zoom"],
    ["drag, ← →", "pan (with shift: a whole window)"],
    ["0, Home", "the whole run"],
    ["drag on the top strip", "choose a part of the run"],
    ["click", "details, and the cluster at that instant"],
    [", .", "previous and next on the same lane"],
    ["z", "zoom to the selection"],
    ["n p", "next and previous violation"],
    ["/", "search; Enter and shift Enter go through the matches"],
    ["c", "copy the command that reproduces the run"],
    ["Esc", "clear search and selection"],
    ["?", "this help"],
  ];
  const help = document.getElementById("help");
  help.replaceChildren(
    element("h2", {}, "Keyboard and mouse"),
    element(
      "dl",
      {},
      keys.flatMap(([key, does]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)]),
    ),
    element(
      "p",
      { class: "muted" },
      "Reading the timeline: time runs to the right. Each node's lane shows its role as background and its commit index as a line; " +
        "a lane that lags shows a lower line. The band below says what the others list it as, when that is not alive. Each user's lane shows one bar per operation, as long as the user waited. " +
        "Search finds every word in operations (keys, values, users, agents, outcomes), events and faults.",
    ),
    element("form", { method: "dialog" }, element("button", { autofocus: true }, "Close")),
  );
  help.showModal();
}
