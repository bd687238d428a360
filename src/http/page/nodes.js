
// ---- Nodes -----------------------------------------------------------------------------------------------

/** The leader is asked for by and by: that question does not block. */
const LEADER_MS = 10000;

/** Whether the leader at "10.0.0.1:8300" is this node: several servers may share an address. */
function isLeader(node, leader) {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(leader) || [];
  const servers = (node.Services || []).filter((it) => it.Service === "consul");
  return node.Address === host && servers.some((it) => String(it.Port) === port);
}

async function watchLeader(view, show) {
  while (!view.signal.aborted) {
    await seen(view.signal);
    try {
      const { text } = await ask("GET", "status/leader", { signal: view.signal });
      show(JSON.parse(text));
    } catch {
      // Without an answer nobody is known to lead; that the agent is away is told by the other question.
      show("");
    }
    await pause(LEADER_MS, view.signal);
  }
}

const leaderBadge = () => h("span", { class: "badge" }, "Leader");

function nodesView(view) {
  let leader = "";
  let rows = null;
  const list = filteredList({
    noun: "node",
    hint: "name, address or service",
    byStatus: true,
    of: (it) => ({
      key: it.Node,
      texts: [it.Node, it.Address, ...(it.Services || []).map((service) => service.Service)],
      status: worst(countsOf(it.Checks)),
    }),
    row: (it) => h("div", { class: "row" },
      h("span", { class: "name" }, dot(worst(countsOf(it.Checks))),
        h("a", { href: address("nodes", it.Node) }, it.Node), " ", isLeader(it, leader) && leaderBadge()),
      health(countsOf(it.Checks)),
      h("span", { class: "side mono" }, it.Address),
      h("span", { class: "side" }, counted((it.Services || []).length, "service"))),
  });
  view.show("Nodes", heading("Nodes"), list.element);
  watch(view, "internal/ui/nodes", (found) => { rows = found || []; list.show(rows); });
  watchLeader(view, (found) => {
    if (found === leader) return;
    leader = found;
    if (rows) list.show(rows);
  });
}

/** Seconds between two places of the network, there and back, as they are estimated. */
function distance(a, b) {
  const squares = a.Vec.map((at, axis) => (at - b.Vec[axis]) ** 2);
  const plain = Math.sqrt(squares.reduce((sum, it) => sum + it, 0)) + a.Height + b.Height;
  const adjusted = plain + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : plain;
}

/** How far the other nodes are from this one; nothing when nobody knows. */
function roundTrips(name, rows) {
  const own = (rows || []).find((it) => it.Node === name && !it.Segment);
  const others = (rows || []).filter((it) => it.Node !== name && own && it.Coord.Vec.length === own.Coord.Vec.length);
  const spans = others.map((it) => distance(own.Coord, it.Coord)).sort((a, b) => a - b);
  if (!spans.length) return h("p", { class: "faint" }, "Not known.");
  const middle = spans.length >> 1;
  const median = spans.length % 2 ? spans[middle] : (spans[middle - 1] + spans[middle]) / 2;
  const shown = { minimum: spans[0], median, maximum: spans.at(-1) };
  return h("dl", { class: "pairs" }, Object.entries(shown)
    .map(([key, seconds]) => [h("dt", {}, key), h("dd", {}, `${(seconds * 1000).toFixed(2)} ms`)]));
}

function nodeView(view, name) {
  const badge = h("span", {});
  const body = h("div", {});
  const sessions = h("div", {}, h("p", { class: "faint" }, "Loading …"));
  const trips = h("div", {});
  const note = noteLine();
  view.show(name, crumbs(["Nodes", address("nodes")]), heading(name, " ", badge), body,
    h("h2", {}, "Lock sessions"), note, sessions,
    h("h2", {}, "Round trip to other nodes"), trips);
  let node = null;
  let leader = "";
  const mark = () => refill(badge, node && isLeader(node, leader) && leaderBadge());
  watchLeader(view, (found) => { leader = found; mark(); });
  watch(view, `internal/ui/node/${escaped(name)}`, (found) => {
    node = found;
    mark();
    const own = (service) => (found.Checks || []).filter((check) => check.ServiceID === service.ID);
    refill(body,
      h("p", {}, h("span", { class: "mono" }, found.Address), found.ID && h("span", { class: "faint mono" }, ` ${found.ID}`)),
      h("h2", {}, "Health checks"), checkList(found.Checks),
      h("h2", {}, "Services"),
      (found.Services || []).length === 0 ? h("p", { class: "faint" }, "None.")
        : h("ul", { class: "list" }, found.Services.map((service) => h("li", {}, h("div", { class: "row" },
          h("span", { class: "name" }, dot(worst(countsOf(own(service)))),
            h("a", { href: address("services", service.Service) }, service.Service)),
          service.ID !== service.Service && h("span", { class: "side mono" }, service.ID),
          h("span", { class: "side mono" }, reachedAt({ Node: found, Service: service })),
          service.Tags && h("span", { class: "side" }, tags(service.Tags)))))),
      h("h2", {}, "Metadata"), pairs(found.Meta),
      h("h2", {}, "Tagged addresses"), pairs(found.TaggedAddresses));
  }, { missing: () => { node = null; mark(); refill(body, h("p", { class: "empty" }, "There is no such node.")); } });
  // Once: estimates change all the time, and a browser has few connections to wait on.
  ask("GET", "coordinate/nodes", { signal: view.signal })
    .then(({ text }) => refill(trips, roundTrips(name, JSON.parse(text))))
    .catch(() => refill(trips, roundTrips(name, [])));
  watch(view, `session/node/${escaped(name)}`, (found) => {
    const all = found || [];
    refill(sessions, all.length === 0 ? h("p", { class: "faint" }, "None.")
      : h("ul", { class: "list" }, all.map((session) => h("li", {}, sessionRow(session, note)))));
  });
}

/** A session, and the button that ends it. */
function sessionRow(session, note, done = () => {}) {
  const invalidate = async (event) => {
    const button = event.currentTarget;
    const text = `Invalidate the session ${session.Name || session.ID}? Its locks are released or deleted.`;
    if (!await isMeant(text, "Invalidate")) return;
    await act(button, note, async () => {
      await ask("PUT", `session/destroy/${escaped(session.ID)}`);
      done();
    });
  };
  const checks = [...(session.NodeChecks || []), ...(session.ServiceChecks || []).map((it) => it.ID || it)];
  return h("div", { class: "row" },
    h("span", { class: "name" }, session.Name || "(no name)"),
    h("span", { class: "side mono" }, session.ID),
    h("span", { class: "side" }, `${session.Behavior}; TTL ${session.TTL || "none"}; lock delay ${session.LockDelay / 1e9} s`),
    checks.length > 0 && h("span", { class: "side" }, `checks ${checks.join(", ")}`),
    h("button", { type: "button", class: "small danger", "data-key": `invalidate ${session.ID}`, onclick: invalidate }, "Invalidate"));
}
