
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

function nodeView(view, name) {
  const badge = h("span", {});
  const body = h("div", {});
  const sessions = h("div", {}, h("p", { class: "faint" }, "Loading …"));
  const note = noteLine();
  view.show(name, crumbs(["Nodes", address("nodes")]), heading(name, " ", badge), body,
    h("h2", {}, "Lock sessions"), note, sessions);
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
