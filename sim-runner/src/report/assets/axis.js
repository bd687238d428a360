// The shared time axis: which part of the run is seen, and its address in the URL.
//   #t=31.31&w=4&sel=op:12&q=k2    centre and width in seconds, selection, search

const canvas = document.getElementById("canvas");
const GUTTER = 98,
  MARGIN = 14,
  NARROWEST_US = 200;
const whole = (() => {
  const pad = Math.max(1000, (lanes.end - lanes.start) * 0.01);
  return { from: lanes.start - pad, to: lanes.end + pad };
})();
const view = { ...whole, width: 800 };
const state = { selected: null, cursor: null, query: "", found: new Set(), violation: 0 };
const changed = []; // called after every change of view or state

function plotWidth() {
  return Math.max(50, view.width - GUTTER - MARGIN);
}
function xOf(at) {
  return GUTTER + ((at - view.from) / (view.to - view.from)) * plotWidth();
}
function timeOf(x) {
  return view.from + ((x - GUTTER) / plotWidth()) * (view.to - view.from);
}
function overviewX(at) {
  return GUTTER + ((at - whole.from) / (whole.to - whole.from)) * plotWidth();
}
function overviewTime(x) {
  return whole.from + ((x - GUTTER) / plotWidth()) * (whole.to - whole.from);
}

function touch() {
  root.dataset.view = `${(view.from / 1e6).toFixed(6)},${(view.to / 1e6).toFixed(6)}`;
  root.dataset.selected = state.selected?.key ?? "";
  root.dataset.matches = state.query ? String(state.found.size) : "";
  for (const each of changed) each();
}

function setView(from, to) {
  const width = Math.min(whole.to - whole.from, Math.max(NARROWEST_US, to - from));
  const centre = (from + to) / 2;
  view.from = Math.min(Math.max(centre - width / 2, whole.from), whole.to - width);
  view.to = view.from + width;
  touch();
}

function fit() {
  setView(whole.from, whole.to);
}
function pan(share) {
  const by = (view.to - view.from) * share;
  setView(view.from + by, view.to + by);
}
function zoom(factor, around = (view.from + view.to) / 2) {
  const width = Math.max(NARROWEST_US, (view.to - view.from) * factor);
  const share = (around - view.from) / (view.to - view.from);
  setView(around - width * share, around - width * share + width);
}

/** Brings an item into sight without changing the zoom when it is there already. */
function reveal(item) {
  const width = view.to - view.from;
  if (item.at >= view.from + width * 0.04 && item.end <= view.to - width * 0.04) return touch();
  const needed = Math.max(width, (item.end - item.at) * 1.3),
    centre = (item.at + item.end) / 2;
  setView(centre - needed / 2, centre + needed / 2);
}

function select(item) {
  state.selected = item;
  if (item?.type === "violation") state.violation = violations.indexOf(item);
  touch();
}

function search(query) {
  state.query = query.trim();
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  state.found = new Set(
    words.length ? items.filter((item) => words.every((w) => searchText(item).includes(w))) : [],
  );
  touch();
}

function nextMatch(direction) {
  const found = items.filter((item) => state.found.has(item));
  if (!found.length) return;
  const at = found.indexOf(state.selected);
  const next =
    found[(at < 0 ? (direction > 0 ? 0 : found.length - 1) : at + direction + found.length) % found.length];
  state.selected = next;
  reveal(next);
}

/** The neighbour of the selection on its own lane. */
function stepItem(direction) {
  const lane = state.selected ? items.filter((item) => item.lane === state.selected.lane) : items;
  const next = lane[lane.indexOf(state.selected) + direction] ?? null;
  if (next) {
    state.selected = next;
    reveal(next);
  }
}

/** The part of the run in which something happens: settling may take much longer than the story. */
function showStory() {
  const happenings = [...faults, ...operations, ...nodes.flatMap((node) => node.opinions)];
  const ends = happenings
    .filter((each) => each.at < lanes.run_end)
    .map((each) => Math.min(each.end, lanes.run_end));
  const length = Math.max(...ends, 0) - lanes.start;
  if (ends.length && length < (lanes.end - lanes.start) * 0.6)
    setView(lanes.start - length * 0.02, lanes.start + length * 1.1);
  else fit();
}

/** Opens on a violation: its operations and events fill most of the view. */
function showViolation(index) {
  const violation = violations[(index + violations.length) % violations.length];
  if (!violation) return;
  const instants = [violation.at, ...violation.events.map((event) => event.at)];
  for (const id of violation.operations) {
    const op = operationById.get(id);
    if (op) instants.push(op.at, op.end);
  }
  // What lies far back (an old write) must not shrink the decisive instants to a line.
  const recent = instants.filter((at) => at >= violation.at - 4e6);
  const from = Math.min(...recent),
    to = Math.max(...recent),
    pad = Math.max(100e3, (to - from) * 0.35);
  state.selected = violation;
  state.violation = violations.indexOf(violation);
  setView(from - pad, to + pad);
}

function address() {
  const parts = [
    `t=${((view.from + view.to) / 2 / 1e6).toFixed(6)}`,
    `w=${((view.to - view.from) / 1e6).toFixed(6)}`,
  ];
  if (state.selected) parts.push(`sel=${encodeURIComponent(state.selected.key)}`);
  if (state.query) parts.push(`q=${encodeURIComponent(state.query)}`);
  return `#${parts.join("&")}`;
}

/** Applies the address; false when it says nothing. */
function followAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (![...wanted.keys()].length) return false;
  const item = itemByKey.get(wanted.get("sel") ?? "") ?? null;
  state.selected = item;
  if (wanted.has("q")) {
    search(wanted.get("q"));
    document.getElementById("search").value = state.query;
  }
  const number = (name) => (wanted.get(name) ? Number(wanted.get(name)) * 1e6 : NaN);
  const centre = Number.isFinite(number("t")) ? number("t") : item ? (item.at + item.end) / 2 : NaN;
  const width = Number.isFinite(number("w")) ? number("w") : view.to - view.from;
  if (item?.type === "violation" && !wanted.has("t")) showViolation(violations.indexOf(item));
  else if (Number.isFinite(centre)) setView(centre - width / 2, centre + width / 2);
  else touch();
  return true;
}

/** Round distances for the ticks of an axis: about one per `apart` pixels. */
function tickStep(apart) {
  const least = ((view.to - view.from) / plotWidth()) * apart;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}
