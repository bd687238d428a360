// The verdict bar, and why: the violation in plain words beside the smallest sub-history that proves it.

const HEADLINES = {
  holds: "HOLDS",
  violated: "VIOLATED",
  undecided: "UNDECIDED",
  nondeterministic: "NOT DETERMINISTIC",
};

function sentence() {
  const counter = violations.find((violation) => !violation.expected);
  const undecided = page.properties.find((property) => property.verdict === "undecided");
  switch (run.verdict) {
    case "nondeterministic":
      return "Two executions of the same scenario and seed differ; nothing else this run says can be relied on.";
    case "violated":
      return counter ? counter.summary : "A property was violated.";
    case "undecided":
      return undecided
        ? `${undecided.name} could not be decided: ${undecided.because ?? "a budget ran out"}.`
        : "A budget ran out before everything was judged.";
    default: {
      const judged = page.properties.filter((property) => property.verdict === "holds").length;
      const expected = page.properties
        .filter((property) => property.verdict === "expected")
        .map((property) => property.name);
      const demanded = expected.length ? ` Violated, as the scenario demands: ${expected.join(", ")}.` : "";
      return `${judged} properties were judged and hold.${demanded}`;
    }
  }
}

function showVerdict() {
  const tally = run.operations,
    total = tally.ok + tally.fail + tally.unknown,
    button = element("button", { type: "button", id: "copy", title: "Copy the command (c)" }, "Copy");
  button.addEventListener("click", () => copy(run.reproduce, button));
  const facts = [
    ["seed", element("code", {}, run.seed)],
    ["scenario", run.scenario],
    ["trace", element("code", {}, run.trace)],
    ["", page.replay],
    ["plant", page.plant],
    [
      "operations",
      `${grouped(total)} (${grouped(tally.ok)} ok, ${grouped(tally.fail)} fail, ${grouped(tally.unknown)} unknown)`,
    ],
    [
      "reads",
      `${grouped(run.reads.default)} default (${grouped(run.reads.in_window)} in a window), ` +
        `${grouped(run.reads.consistent)} consistent, ${grouped(run.reads.stale)} stale`,
    ],
    ["events", grouped(run.events)],
    ["speed", page.speed],
    ...page.notes.map((each) => ["note", each]),
  ];
  const header = document.getElementById("verdict");
  header.className = `tone-${run.verdict}`;
  header.replaceChildren(
    element(
      "div",
      { class: "top" },
      element(
        "span",
        { class: "badge" },
        element("span", { "aria-hidden": "true" }, SYMBOLS[run.verdict]),
        HEADLINES[run.verdict],
      ),
      element("div", {}, element("h1", {}, page.title), element("p", { class: "sentence" }, sentence())),
      element("div", { class: "command" }, element("code", {}, run.reproduce), button),
    ),
    element(
      "dl",
      {},
      facts
        .filter(([, value]) => value)
        .map(([name, value]) =>
          element("div", {}, name ? element("dt", {}, name) : "", element("dd", {}, value)),
        ),
    ),
  );
  if (page.story) header.append(element("p", { class: "story" }, page.story));
}

function showCause() {
  const section = document.getElementById("cause");
  if (run.verdict === "nondeterministic" && page.difference) return showDifference(section);
  const violation = violations[state.violation];
  section.hidden = !violation;
  if (!violation || section.dataset.shown === violation.key) return;
  section.dataset.shown = violation.key;
  section.className = violation.expected ? "tone-expected" : "tone-violated";
  section.replaceChildren(element("div", { class: "columns" }, inWords(violation), proof(violation)));
}

/** The violation in words: what was promised, what the cluster was like, what the checker adds. */
function inWords(violation) {
  const turn = (by, sign, title) =>
    element(
      "button",
      { class: "step", type: "button", title, onclick: () => showViolation(state.violation + by) },
      sign,
    );
  const pager = element(
    "span",
    { class: "pager" },
    `${state.violation + 1} of ${violations.length}`,
    turn(-1, "←", "Previous (p)"),
    turn(1, "→", "Next (n)"),
  );
  return element(
    "div",
    {},
    violations.length > 1 && pager,
    element("h2", {}, violation.expected ? "Expected violation" : "Why"),
    violation.summary !== sentence() && element("h3", {}, violation.summary),
    element("p", {}, element("b", {}, violation.property), " promises: ", violation.promise, "."),
    element("p", {}, clusterInWords(violation.at)),
    violation.detail.length > 0 &&
      element(
        "ul",
        {},
        violation.detail.map((line) => element("li", {}, line)),
      ),
  );
}

/** What proves it: the operations as a picture, the events as a list. */
function proof(violation) {
  const ops = subHistory(violation);
  const events = violation.events.map((event) =>
    element("li", {}, instant(event.at), ` ${event.host} ${event.text}`),
  );
  if (!ops.length && !events.length) {
    return element(
      "p",
      { class: "muted" },
      "No single operation or event proves it; the timeline below opens at the instant it was found.",
    );
  }
  const title =
    ops.length === 1 ? "The operation that proves it" : `The ${ops.length} operations that prove it`;
  return element(
    "div",
    {},
    ops.length > 0 && element("h2", {}, title),
    ops.length > 0 && drawSubHistory(ops),
    events.length > 0 && element("h2", { class: "second" }, "In the trace"),
    events.length > 0 && element("ul", { class: "plain" }, events),
  );
}

function showDifference(section) {
  const { index, first, second } = page.difference,
    ended = "(this execution had ended)";
  section.hidden = false;
  section.className = "tone-nondeterministic";
  section.replaceChildren(
    element("h2", {}, "Where the executions part"),
    element("h3", {}, `Event ${grouped(index)} differs`),
    element(
      "div",
      { class: "sides" },
      element("span", { class: "muted" }, "first"),
      element("code", {}, first ?? ended),
      element("span", { class: "muted" }, "second"),
      element("code", {}, second ?? ended),
    ),
  );
}

function subHistory(violation) {
  return violation.operations
    .map((id) => operationById.get(id))
    .filter(Boolean)
    .sort((a, b) => a.at - b.at);
}

const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** One row an operation. Instants stand in their order at equal distances: what matters is which came
    before which, and a write of a minute ago would otherwise shrink the rest to a line. */
function drawSubHistory(ops) {
  const shown = ops.length > 12 ? [...ops.slice(0, 4), ...ops.slice(-8)] : ops;
  const instants = [...new Set(shown.flatMap((op) => [op.at, op.end]))].sort((a, b) => a - b);
  const width = 720,
    left = 118,
    right = 16,
    row = 30,
    top = 6,
    height = top + shown.length * row + 24;
  const slot = (width - left - right) / Math.max(1, instants.length - 1);
  const xAt = (at) => left + instants.indexOf(at) * slot;
  const last = shown.reduce((a, b) => (b.end > a.end ? b : a));
  const picture = shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": shown.map((op) => `${op.lane}: ${operationText(op)}`).join("; "),
  });
  for (const at of instants)
    picture.append(
      shape("line", {
        x1: xAt(at),
        x2: xAt(at),
        y1: top,
        y2: height - 20,
        stroke: "var(--line)",
        "stroke-dasharray": "2 3",
      }),
    );
  shown.forEach((op, i) => {
    const y = top + i * row,
      x0 = xAt(op.at),
      x1 = Math.max(x0 + 4, xAt(op.end)),
      culprit = op === last;
    const paint = ["var(--ok)", "var(--fail)", "var(--unknown)"][op.outcome];
    const group = shape("g", { class: "row" });
    group.addEventListener("click", () => {
      state.selected = op;
      reveal(op);
    });
    group.append(
      shape("rect", { class: "plate", x: 0, y, width, height: row - 2, fill: "transparent", rx: 4 }),
      label(`${op.lane} → ${op.server || "?"}`, 4, y + 12, "var(--ink)", 600),
      label(seconds(op.at), 4, y + 24, "var(--soft)", 400, 10),
      shape("rect", {
        x: x0,
        y: y + 18,
        width: x1 - x0,
        height: 7,
        rx: 2,
        fill: op.outcome === 0 ? paint : "var(--card)",
        stroke: culprit ? "var(--violated)" : paint,
        "stroke-width": culprit ? 2.5 : 1.5,
        "stroke-dasharray": op.outcome === 2 ? "4 2" : "none",
      }),
    );
    const string = `${operationText(op)}${op.open ? "" : `   (${span(op.took)})`}`,
      room = string.length * 6.1,
      anchorEnd = x0 + room > width - 4;
    group.append(
      label(
        string,
        anchorEnd ? Math.max(left + room, x1) : x0,
        y + 12,
        culprit ? "var(--violated)" : "var(--ink)",
        culprit ? 650 : 400,
        11.5,
        anchorEnd ? "end" : "start",
      ),
    );
    picture.append(group);
  });
  picture.append(
    label(seconds(instants[0]), left, height - 6, "var(--soft)", 400, 10),
    label(seconds(instants.at(-1)), width - right, height - 6, "var(--soft)", 400, 10, "end"),
    label(
      "in order of time, not to scale",
      (left + width - right) / 2,
      height - 6,
      "var(--faint)",
      400,
      10,
      "middle",
    ),
  );
  if (shown.length < ops.length)
    picture.append(
      label(`${ops.length - shown.length} more on the timeline`, 4, height - 6, "var(--soft)", 400, 10),
    );
  return picture;
}

function label(string, x, y, paint, weight, size = 11.5, anchor = "start") {
  return shape(
    "text",
    { x, y, fill: paint, "font-size": size, "font-weight": weight, "text-anchor": anchor },
    document.createTextNode(string),
  );
}
