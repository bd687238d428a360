// The run as the page holds it: columns unpacked, everything that can be pointed at in one list.
// Times are virtual microseconds throughout; zero is the end of boot.

const root = document.documentElement;
// Told to whoever looks at the page from outside (tests, people with a console).
window.addEventListener("error", (event) => {
  root.dataset.errors += `${event.message}\n`;
});

const page = JSON.parse(document.getElementById("data").textContent);
const { run, lanes } = page;

const OUTCOMES = ["ok", "fail", "unknown"];
const NEVER_SHOWN_US = 1e6; // how long the bar of an operation is drawn that was never answered

function cumulated(steps) {
  let sum = 0;
  return steps.map((step) => (sum += step));
}

/** Index of the last element of a sorted array that is not after `at`; -1 when all are. */
function lastNotAfter(sorted, at) {
  let low = 0,
    high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function seconds(us, digits = 3) {
  return `${(us / 1e6).toFixed(digits)} s`;
}

function span(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 3 : 1)} s`;
}

function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** n2 before n10. */
function natural(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

/** Gives each span the first row in which it overlaps nothing; returns the number of rows. */
function packed(spans, gap, most) {
  const ends = [];
  for (const each of spans) {
    let row = ends.findIndex((end) => end + gap <= each.at);
    if (row < 0) row = ends.length < most ? ends.length : ends.indexOf(Math.min(...ends));
    ends[row] = Math.max(ends[row] ?? -Infinity, each.end);
    each.row = row;
  }
  return Math.max(1, ends.length);
}

const operations = (() => {
  const o = lanes.operations,
    ids = cumulated(o.id),
    ats = cumulated(o.at),
    text = (row) => o.strings[row];
  return ids.map((id, i) => {
    const open = o.took[i] < 0,
      at = ats[i];
    return {
      type: "operation",
      key: `op:${id}`,
      id,
      at,
      open,
      took: o.took[i],
      end: open ? Math.min(lanes.end, at + NEVER_SHOWN_US) : at + o.took[i],
      lane: text(o.user[i]),
      client: o.client[i],
      server: text(o.server[i]),
      call: text(o.call[i]),
      mode: text(o.mode[i]),
      of: text(o.key[i]),
      input: text(o.input[i]),
      answer: text(o.answer[i]),
      index: o.index[i],
      outcome: o.outcome[i],
    };
  });
})();
const operationById = new Map(operations.map((op) => [op.id, op]));

function isRead(op) {
  return op.call === "get" || op.call === "list";
}

/** `put k1 = "7"`, `get k1 → "7"`. */
function operationText(op) {
  const mode = op.mode && op.mode !== "default" ? ` (${op.mode})` : "";
  const input = op.input ? ` = ${op.input}` : "";
  return `${op.call} ${op.of}${input}${mode}${operationAnswer(op)}`;
}

function operationAnswer(op) {
  if (op.outcome === 0) return op.answer ? ` → ${op.answer}` : " → ok";
  return ` → ${OUTCOMES[op.outcome]}`;
}

const users = [...new Set(operations.map((op) => op.lane))].sort(natural).map((name) => {
  const own = operations.filter((op) => op.lane === name);
  const rows = packed(own, 0, 6);
  return {
    name,
    // What a step asks of an agent by itself is its own user.
    label: name.replace(/^step step-/, "step-"),
    operations: own,
    rows,
    longest: own.reduce((most, op) => Math.max(most, op.end - op.at), 0),
  };
});

const nodes = lanes.nodes.map((node) => {
  const series = (s) => ({ at: cumulated(s.at), to: cumulated(s.to) });
  const own = {
    ...node,
    commit: series(node.commit),
    applied: series(node.applied),
    leaderAt: node.leader.map(([at]) => at),
    rolesFrom: node.roles.map((role) => role.from),
  };
  own.moments = node.moments.map((moment, i) => ({
    ...moment,
    type: "moment",
    key: `m:${node.name}:${i}`,
    end: moment.at,
    lane: node.name,
  }));
  own.momentsAt = own.moments.map((moment) => moment.at);
  return own;
});

const faults = lanes.faults.map((fault, i) => ({
  ...fault,
  type: "fault",
  key: `fault:${i}`,
  at: fault.from,
  end: fault.to ?? fault.from,
  lane: "faults",
  lasting: fault.to !== null && fault.to > fault.from,
}));

function faultText(fault) {
  const whom = fault.targets.join(" ");
  const meant = fault.detail && fault.detail !== whom ? ` (${fault.detail})` : "";
  return `${fault.verb} ${whom}${meant}`.trim();
}

const marks = lanes.marks.map((mark, i) => ({
  ...mark,
  type: "mark",
  key: `mark:${i}`,
  end: mark.at,
  lane: "run",
}));
const violations = page.violations.map((violation, i) => ({
  ...violation,
  type: "violation",
  key: `v:${i}`,
  end: violation.at,
  lane: "run",
}));

for (const node of nodes) node.opinions = opinionsOf(node);
const services = servicesOf(lanes.services);

/** Everything that can be found, selected and stepped through, in order of time. */
const items = [
  ...faults,
  ...marks,
  ...violations,
  ...nodes.flatMap((node) => node.moments),
  ...nodes.flatMap((node) => node.opinions),
  ...services.flatMap((service) => service.spans),
  ...operations,
].sort((a, b) => a.at - b.at);
const itemByKey = new Map(items.map((item) => [item.key, item]));

function itemTitle(item) {
  switch (item.type) {
    case "operation":
      return operationText(item);
    case "fault":
      return faultText(item);
    case "violation":
      return `${item.property}: ${item.summary}`;
    case "moment":
      return `${item.lane} ${item.text}${item.count > 1 ? ` (${item.count} times)` : ""}`;
    default:
      return item.text;
  }
}

function searchText(item) {
  item.searched ??= [
    item.key,
    item.lane,
    itemTitle(item),
    item.server,
    item.kind,
    item.id,
    item.signature,
    item.outcome !== undefined && OUTCOMES[item.outcome],
    item.type === "operation" && item.answer,
    item.chaos && "chaos",
  ]
    .filter(Boolean)
    .join(" ")
    .toLowerCase();
  return item.searched;
}

/** What a node was at an instant. */
function nodeAt(node, at) {
  const value = (series) => series.to[lastNotAfter(series.at, at)] ?? 0;
  const life = node.life.find((each) => each.from <= at && at < each.to);
  const role = node.roles[lastNotAfter(node.rolesFrom, at)];
  const current = role && at <= role.to ? role : null;
  const state = life ? life.state : current ? current.role : node.server ? "down" : "client";
  if (state === "down" || !node.server) return { state, term: null, commit: null, applied: null, leader: null };
  return {
    state,
    term: (current ?? role)?.term ?? null,
    commit: value(node.commit),
    applied: value(node.applied),
    leader: node.leader[lastNotAfter(node.leaderAt, at)]?.[1] ?? "",
  };
}

function faultsAt(at) {
  return faults.filter((fault) => fault.lasting && fault.at <= at && at < fault.end);
}

/** The cluster at an instant, in one or two sentences. */
function clusterInWords(at) {
  const states = nodes.map((node) => ({ name: node.name, ...nodeAt(node, at) }));
  const leading = states.filter((s) => s.state === "leader").map((s) => `${s.name} led term ${s.term}`);
  const away = states
    .filter((s) => s.state === "down" || s.state === "paused")
    .map((s) => `${s.name} was ${s.state}`);
  const facts = [leading.length ? leading.join(", ") : "nobody led", ...away].join("; ");
  const force = faultsAt(at).map((fault) => `${faultText(fault)} since ${seconds(fault.at, 1)}`);
  return `At ${seconds(at)} ${facts}.${force.length ? ` In force: ${force.join("; ")}.` : ""}`;
}
