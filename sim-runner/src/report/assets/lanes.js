// Drawing. One canvas; only what is in the window is drawn, and what would fall on a pixel that already
// says the same is left out, so that a frame costs what can be seen and not what there is.

const ctx = canvas.getContext("2d");
let colour = {}, hatches = {}, hits = [], layout = [], scale = { low: 0, high: 1 };

function readColours() {
  const style = getComputedStyle(root);
  colour = new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${name}`).trim() });
  const known = {};
  for (const name of ["ink", "soft", "faint", "line", "line-strong", "wash", "card", "ok", "fail", "unknown", "leader",
    "leader-fill", "candidate-fill", "follower-fill", "down-fill", "down-line", "paused-line", "paused-fill", "commit",
    "fault", "fault-fill", "select", "violated", "found", "shade", "holds", "undecided"]) known[name] = colour[name];
  colour = known;
  hatches = {
    down: hatch(colour["down-fill"], colour["down-line"], "diagonal"),
    paused: hatch(colour["paused-fill"], colour["paused-line"], "bars"),
    fail: hatch(colour.card, colour.fail, "dense"),
    fault: hatch(colour["fault-fill"], colour.fault, "sparse"),
  };
}

function hatch(fill, line, kind) {
  const size = { diagonal: 8, bars: 8, dense: 5, sparse: 12 }[kind];
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const c = tile.getContext("2d");
  c.fillStyle = fill; c.fillRect(0, 0, size, size);
  c.strokeStyle = line; c.lineWidth = kind === "dense" ? 1.6 : 1.1;
  c.beginPath();
  if (kind === "bars") { c.moveTo(2.5, 0); c.lineTo(2.5, size); }
  else for (const shift of [-size, 0, size]) { c.moveTo(shift, size); c.lineTo(shift + size, 0); }
  c.stroke();
  return ctx.createPattern(tile, "repeat");
}

const OP_ROW = 17, FAULT_ROW = 21, NODE_HEIGHT = 60;

/** The instant that the panels and the labels speak of. */
function inspected() {
  return Math.min(Math.max(state.cursor ?? state.selected?.at ?? view.to, lanes.start), lanes.end);
}

/** Places the lanes, top to bottom; returns the height of all. */
function placeLanes() {
  layout = [];
  let y = 8;
  const place = (kind, height, extra = {}, gap = 7) => { layout.push({ kind, y, height, ...extra }); y += height + gap; };
  place("overview", 62, { label: "whole run" }, 10);
  place("axis", 20, {}, 4);
  faults.rows ??= packed(faults, 0.012 * (lanes.end - lanes.start), 5);
  place("faults", Math.max(1, faults.length ? faults.rows : 1) * FAULT_ROW + 3, { label: "faults" });
  for (const node of nodes) place("node", NODE_HEIGHT, { label: node.name, node });
  if (users.length) y += 3;
  for (const user of users) place("user", user.rows * OP_ROW + 5, { label: user.name, user }, 5);
  if (operations.length) { y += 3; place("rate", 44, { label: "operations" }); place("latency", 84, { label: "latency" }); }
  return y + 4;
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth, height = placeLanes();
  view.width = width;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.textBaseline = "middle";
  hits = [];
  scale = commitScale();
  const axis = layout.find((lane) => lane.kind === "axis");
  drawOverview(layout[0]);
  drawAxis(axis, height);
  clipped(axis.y, height, () => drawShades(axis.y + axis.height, height));
  for (const lane of layout.slice(2)) {
    drawLabel(lane);
    clipped(lane.y - 3, lane.height + 6, () => DRAW[lane.kind](lane));
  }
  clipped(axis.y, height, () => drawLines(axis, height));
}

const DRAW = { faults: drawFaults, node: drawNode, user: drawUser, rate: drawRate, latency: drawLatency };

function clipped(y, height, body) {
  ctx.save(); ctx.beginPath(); ctx.rect(GUTTER, y, plotWidth(), height); ctx.clip(); body(); ctx.restore();
}

const FONT = (size, weight, mono) => `${weight} ${size}px ${mono ? "ui-monospace, Menlo, 'DejaVu Sans Mono', monospace" : "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"}`;

function text(string, x, y, { size = 11, weight = 400, fill = colour.ink, align = "left", mono = false } = {}) {
  ctx.font = FONT(size, weight, mono);
  ctx.textAlign = align; ctx.fillStyle = fill; ctx.fillText(string, x, y);
}

/** As much of a text as fits, or nothing. */
function fitted(string, width, options = {}) {
  ctx.font = FONT(options.size ?? 11, options.weight ?? 400);
  if (ctx.measureText(string).width <= width) return string;
  let low = 0, high = string.length;
  while (low < high) { const m = (low + high + 1) >> 1; if (ctx.measureText(`${string.slice(0, m)}…`).width <= width) low = m; else high = m - 1; }
  return low >= 3 ? `${string.slice(0, low).trimEnd()}…` : "";
}

function hit(x0, x1, y0, y1, item) {
  if (x1 < GUTTER || x0 > GUTTER + plotWidth()) return;
  hits.push({ x0: Math.min(x0, (x0 + x1) / 2 - 3), x1: Math.max(x1, (x0 + x1) / 2 + 3), y0, y1, item });
}

function faded(item) { return state.query && !state.found.has(item); }

function drawLabel(lane) {
  const middle = lane.y + lane.height / 2;
  if (lane.kind === "node") {
    const now = nodeAt(lane.node, inspected());
    text(fitted(lane.label, GUTTER - 20, { size: 13, weight: 650 }), 14, lane.y + 16, { size: 13, weight: 650 });
    text(now.state, 14, lane.y + 33, { fill: colour.soft });
    if (now.term !== null) text(`term ${now.term}`, 14, lane.y + 48, { fill: colour.faint });
    return;
  }
  const strong = lane.kind === "user";
  text(fitted(lane.label, GUTTER - 20, { size: strong ? 12 : 11, weight: strong ? 600 : 400 }), 14, middle, { size: strong ? 12 : 11, weight: strong ? 600 : 400, fill: strong ? colour.ink : colour.soft });
}

function drawOverview(lane) {
  const { y, height } = lane, right = GUTTER + plotWidth();
  text(lane.label, 14, y + height / 2, { fill: colour.soft });
  ctx.fillStyle = colour.wash; ctx.fillRect(GUTTER, y, plotWidth(), height);
  // who leads
  for (const node of nodes) for (const role of node.roles) {
    if (role.role !== "leader") continue;
    const x0 = overviewX(role.from), x1 = Math.max(x0 + 1, overviewX(role.to));
    ctx.fillStyle = colour["leader-fill"]; ctx.fillRect(x0, y, x1 - x0, 16);
    ctx.fillStyle = colour.leader; ctx.fillRect(x0, y, 2, 16);
    const label = fitted(`${node.name} leads`, x1 - x0 - 8);
    if (label) text(label, x0 + 6, y + 8.5, { size: 10.5 });
  }
  // faults
  ctx.fillStyle = colour.fault;
  for (const fault of faults) ctx.fillRect(overviewX(fault.at), y + 19, Math.max(2, overviewX(fault.end) - overviewX(fault.at)), 5);
  drawOverviewRate(y + 27, height - 27);
  for (const violation of violations) pin(overviewX(violation.at), y, height);
  // the window
  const x0 = overviewX(view.from), x1 = overviewX(view.to);
  ctx.globalAlpha = 0.55; ctx.fillStyle = colour.card;
  ctx.fillRect(GUTTER, y, Math.max(0, x0 - GUTTER), height); ctx.fillRect(x1, y, Math.max(0, right - x1), height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour.select; ctx.lineWidth = 1.5;
  ctx.strokeRect(Math.max(GUTTER, x0) + 0.5, y + 0.5, Math.max(3, Math.min(right, x1) - Math.max(GUTTER, x0)) - 1, height - 1);
}

let overviewBuckets = null;
function drawOverviewRate(y, height) {
  if (!overviewBuckets || overviewBuckets.length !== Math.ceil(plotWidth() / 4)) {
    overviewBuckets = Array.from({ length: Math.ceil(plotWidth() / 4) }, () => [0, 0, 0]);
    for (const op of operations) {
      const b = Math.floor((overviewX(op.at) - GUTTER) / 4);
      if (overviewBuckets[b]) overviewBuckets[b][op.outcome] += 1;
    }
  }
  stacked(overviewBuckets, (i) => GUTTER + i * 4, 3.4, y, height);
}

function stacked(buckets, xOfBucket, width, y, height) {
  const most = Math.max(1, ...buckets.map((b) => b[0] + b[1] + b[2]));
  buckets.forEach((bucket, i) => {
    let top = y + height;
    const fills = [colour.ok, hatches.fail, colour.unknown];
    for (const outcome of [0, 2, 1]) {
      const h = (bucket[outcome] / most) * (height - 2);
      if (!h) continue;
      top -= h; ctx.fillStyle = fills[outcome]; ctx.fillRect(xOfBucket(i), top, width, h);
    }
  });
  return most;
}

function pin(x, y, height) {
  ctx.strokeStyle = ctx.fillStyle = colour.violated; ctx.lineWidth = 2;
  ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(x, y + height); ctx.stroke();
  ctx.beginPath(); ctx.moveTo(x - 5, y); ctx.lineTo(x + 5, y); ctx.lineTo(x, y + 8); ctx.closePath(); ctx.fill();
}

function drawAxis(lane, bottom) {
  const step = tickStep(95), digits = Math.max(0, -Math.floor(Math.log10(step / 1e6) + 1e-9));
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = Math.round(xOf(at)) + 0.5;
    ctx.strokeStyle = colour.line; ctx.lineWidth = 1;
    ctx.beginPath(); ctx.moveTo(x, lane.y + 15); ctx.lineTo(x, bottom); ctx.stroke();
    if (x > GUTTER + 12 && x < GUTTER + plotWidth() - 16) text(seconds(at + 0, digits), x, lane.y + 7, { fill: colour.soft, align: "center" });
  }
}

/** Boot and settle are not the run proper; the violation has a band. */
function drawShades(top, bottom) {
  ctx.fillStyle = colour.wash;
  if (lanes.start < 0) ctx.fillRect(xOf(whole.from), top, xOf(0) - xOf(whole.from), bottom);
  if (lanes.end > lanes.run_end) ctx.fillRect(xOf(lanes.run_end), top, xOf(whole.to) - xOf(lanes.run_end), bottom);
  const violation = violations[state.violation];
  if (violation) {
    const ops = violation.operations.map((id) => operationById.get(id)).filter(Boolean);
    const last = ops.sort((a, b) => a.end - b.end).at(-1);
    const from = last ? last.at : violation.at, to = last ? last.end : violation.at;
    ctx.fillStyle = colour.shade; ctx.fillRect(xOf(from) - 2, top, Math.max(4, xOf(to) - xOf(from) + 4), bottom);
  }
}

function drawLines(axis, bottom) {
  const rule = (at, style, dash) => {
    ctx.strokeStyle = style; ctx.lineWidth = 1; ctx.setLineDash(dash);
    ctx.beginPath(); ctx.moveTo(xOf(at), axis.y + 14); ctx.lineTo(xOf(at), bottom); ctx.stroke(); ctx.setLineDash([]);
  };
  for (const mark of marks) {
    rule(mark.at, colour["line-strong"], [2, 3]);
    hit(xOf(mark.at) - 2, xOf(mark.at) + 2, axis.y, axis.y + axis.height, mark);
  }
  for (const violation of violations) {
    const x = xOf(violation.at);
    ctx.fillStyle = colour.violated; ctx.beginPath();
    ctx.moveTo(x - 5, axis.y + 12); ctx.lineTo(x + 5, axis.y + 12); ctx.lineTo(x, axis.y + 20); ctx.closePath(); ctx.fill();
    rule(violation.at, colour.violated, []);
    hit(x - 5, x + 5, axis.y + 8, axis.y + 24, violation);
  }
  if (state.selected) rule(state.selected.at, colour.select, [5, 3]);
  if (state.cursor !== null) {
    rule(state.cursor, colour.soft, [1, 2]);
    const x = Math.min(Math.max(xOf(state.cursor), GUTTER + 34), GUTTER + plotWidth() - 34);
    ctx.fillStyle = colour.ink; ctx.fillRect(x - 34, axis.y - 1, 68, 16);
    text(seconds(state.cursor, 3), x, axis.y + 7, { fill: colour.card, align: "center" });
  }
}

function drawFaults(lane) {
  if (!faults.length) { text("no faults in this run", GUTTER + 8, lane.y + lane.height / 2, { fill: colour.faint }); return; }
  for (const fault of faults) {
    if (fault.end < view.from - (view.to - view.from) || fault.at > view.to) continue;
    const x0 = xOf(fault.at), x1 = xOf(fault.end), y = lane.y + 1 + fault.row * FAULT_ROW, h = FAULT_ROW - 4;
    const label = faultText(fault) + (fault.chaos ? " · chaos" : "") + (fault.failed ? " · FAILED" : "") + (fault.skipped ? " · skipped" : "");
    ctx.globalAlpha = faded(fault) ? 0.25 : 1;
    const neighbour = faults.find((other) => other.row === fault.row && other.at > fault.at);
    if (fault.lasting) {
      ctx.fillStyle = colour["fault-fill"]; ctx.fillRect(x0, y, x1 - x0, h);
      ctx.fillStyle = hatches.fault; ctx.fillRect(x0, y, x1 - x0, h);
      ctx.fillStyle = colour.fault; ctx.fillRect(x0, y, 3, h);
      if (fault.undone) { ctx.fillRect(x1 - 2, y, 2, h); ctx.beginPath(); ctx.moveTo(x1 - 8, y + h / 2); ctx.lineTo(x1 - 2, y); ctx.lineTo(x1 - 2, y + h); ctx.fill(); }
    } else {
      ctx.fillStyle = colour.fault; ctx.beginPath();
      ctx.moveTo(x0, y); ctx.lineTo(x0 + 8, y + h / 2); ctx.lineTo(x0, y + h); ctx.closePath(); ctx.fill(); ctx.fillRect(x0 - 1, y, 2, h);
    }
    ctx.font = FONT(11, 400);
    const inside = fault.lasting && ctx.measureText(label).width + 14 <= Math.min(x1, GUTTER + plotWidth()) - Math.max(x0, GUTTER);
    const start = inside ? Math.max(x0, GUTTER) + 8 : fault.lasting ? x1 + 5 : x0 + 12;
    const string = inside ? label : fitted(label, (neighbour ? xOf(neighbour.at) : GUTTER + plotWidth()) - start - 6);
    if (inside) { ctx.fillStyle = colour["fault-fill"]; ctx.fillRect(start - 3, y + 1, ctx.measureText(label).width + 6, h - 2); }
    if (string) text(string, start, y + h / 2 + 0.5);
    ctx.globalAlpha = 1;
    outline(fault, x0 - 1, y - 1, Math.max(9, x1 - x0 + 2), h + 2);
    hit(x0, Math.max(x1, x0 + 10 + (string ? ctx.measureText(string).width : 0)), y, y + h, fault);
  }
}

/** The frame of what is selected, found, or part of the violation that is shown. */
function outline(item, x, y, width, height) {
  const proves = item.type === "operation" && violations[state.violation]?.operations.includes(item.id);
  const stroke = item === state.selected ? colour.select : proves ? colour.violated : state.found.has(item) ? colour.found : null;
  if (!stroke) return;
  ctx.strokeStyle = stroke; ctx.lineWidth = item === state.selected || proves ? 2 : 1.5;
  ctx.strokeRect(x, y, width, height);
}

function drawNode(lane) {
  const { node, y, height } = lane, bottom = y + height;
  ctx.fillStyle = colour.wash; ctx.fillRect(GUTTER, y, plotWidth(), height);
  const fills = { leader: colour["leader-fill"], candidate: colour["candidate-fill"], follower: colour["follower-fill"] };
  for (const role of node.roles) {
    if (role.to < view.from || role.from > view.to) continue;
    const x0 = xOf(role.from), x1 = Math.max(x0 + 0.7, xOf(role.to)), leads = role.role === "leader";
    ctx.fillStyle = fills[role.role]; ctx.fillRect(x0, y, x1 - x0, height);
    if (leads) { ctx.fillStyle = colour.leader; ctx.fillRect(x0, y, x1 - x0, 3); }
    if (role.role === "candidate") { ctx.fillStyle = colour.unknown; ctx.fillRect(x0, bottom - 3, x1 - x0, 3); }
    ctx.fillStyle = colour["line-strong"]; ctx.fillRect(x0, y, 1, height);
    const left = Math.max(x0, GUTTER) + 6, label = fitted(`${role.role} · term ${role.term}`, Math.min(x1, GUTTER + plotWidth()) - left - 4, { weight: leads ? 600 : 400 });
    if (label) text(label, left, y + 24, { weight: leads ? 600 : 400, fill: leads ? colour.ink : colour.soft });
  }
  for (const life of node.life) {
    if (life.to < view.from || life.from > view.to) continue;
    const x0 = xOf(life.from), x1 = xOf(life.to), left = Math.max(x0, GUTTER) + 6;
    ctx.fillStyle = hatches[life.state]; ctx.fillRect(x0, y, x1 - x0, height);
    const label = fitted(life.state, Math.min(x1, GUTTER + plotWidth()) - left - 6, { weight: 650 });
    if (label) {
      ctx.fillStyle = colour[`${life.state}-fill`]; ctx.fillRect(left - 3, y + 16, ctx.measureText(label).width + 6, 16);
      text(label, left, y + 24.5, { weight: 650 });
    }
  }
  drawCommit(node, y + 34, bottom - 6);
  commitFigure(node, y + 25);
  drawDrops(node, bottom);
  drawMoments(node, y);
}

/** One scale for all nodes, of what is in the window: a lane that lags shows a lower line. */
function commitScale() {
  const value = (node, at) => node.commit.to[lastNotAfter(node.commit.at, at)] ?? 0;
  const high = Math.max(1, ...nodes.map((node) => value(node, view.to)));
  const low = Math.min(high - 1, ...nodes.map((node) => nodeAt(node, view.from).commit).filter((each) => each !== null));
  return { low: nodes.some((node) => nodeAt(node, view.from).commit !== null) ? low : 0, high };
}

function drawCommit(node, top, bottom) {
  const { at, to } = node.commit, height = bottom - top, { low, high } = scale;
  const yOf = (value) => bottom - (Math.max(0, value - low) / (high - low)) * height;
  ctx.strokeStyle = colour.commit; ctx.lineWidth = 1.3; ctx.beginPath();
  let i = Math.max(0, lastNotAfter(at, view.from)), lastX = -Infinity, started = false;
  for (; i < at.length && at[i] <= view.to; i += 1) {
    const x = xOf(at[i]), falls = i > 0 && to[i] < to[i - 1];
    if (x - lastX < 0.8 && !falls && at[i + 1] <= view.to) continue;
    const before = i > 0 ? to[i - 1] : 0;
    if (!started || falls) ctx.moveTo(x, yOf(to[i])); else { ctx.lineTo(x, yOf(before)); ctx.lineTo(x, yOf(to[i])); }
    started = true; lastX = x;
  }
  if (started) ctx.lineTo(xOf(Math.min(view.to, lanes.end)), yOf(to[i - 1]));
  ctx.stroke();
  // A process that is gone commits nothing: its hatching covers the line again.
  for (const life of node.life) {
    if (life.state !== "down" || life.to < view.from || life.from > view.to) continue;
    ctx.fillStyle = hatches.down; ctx.fillRect(xOf(life.from), top - 1, xOf(life.to) - xOf(life.from), height + 3);
  }
}

/** The commit index at the right edge, in figures. */
function commitFigure(node, y) {
  const now = nodeAt(node, Math.min(view.to, lanes.end));
  if (now.commit === null) return;
  text(grouped(now.commit), GUTTER + plotWidth() - 5, y, { size: 10, fill: colour.commit, align: "right" });
}

function drawDrops(node, bottom) {
  ctx.fillStyle = colour.fail;
  for (const [at, why, count] of node.drops) {
    if (at + 1e5 < view.from || at > view.to) continue;
    const x = xOf(at), width = Math.max(1.5, xOf(at + 1e5) - x - 0.5), h = Math.min(6, 1.5 + Math.log2(count + 1));
    ctx.fillRect(x, bottom - h, width, h);
    hit(x, x + width, bottom - 8, bottom, { type: "drop", key: "", at, end: at + 1e5, lane: node.name, text: `${node.name} lost ${grouped(count)} message${count > 1 ? "s" : ""} (${why})` });
  }
}

const MINOR = new Set(["log", "mark", "append-rejected", "vote-refused", "leader-view", "voted", "recovered"]);

function drawMoments(node, y) {
  let lastMajor = -Infinity, lastMinor = -Infinity;
  for (let i = Math.max(0, lastNotAfter(node.momentsAt, view.from)); i < node.moments.length; i += 1) {
    const moment = node.moments[i];
    if (moment.at > view.to) break;
    const x = xOf(moment.at), minor = MINOR.has(moment.kind), special = moment === state.selected || state.found.has(moment);
    ctx.globalAlpha = faded(moment) ? 0.25 : 1;
    if (minor) {
      if (x - lastMinor < 2 && !special) continue;
      ctx.fillStyle = colour.soft; ctx.fillRect(x - 0.5, y + 3, 1, 6); lastMinor = x;
    } else {
      if (x - lastMajor < 5 && !special) continue;
      glyph(ctx, moment.kind, x, y + 9.5, 5); lastMajor = x;
    }
    ctx.globalAlpha = 1;
    if (special) outline(moment, x - 7, y + 2, 14, 15);
    hit(x - (minor ? 2 : 5), x + (minor ? 2 : 5), y, y + (minor ? 12 : 17), moment);
  }
}

/** One shape per kind of moment, so that the lane can be read without colours. */
function glyph(c, kind, x, y, r) {
  const path = (points, close = true) => { c.beginPath(); points.forEach(([dx, dy], i) => (i ? c.lineTo(x + dx * r, y + dy * r) : c.moveTo(x + dx * r, y + dy * r))); if (close) c.closePath(); };
  c.lineWidth = 1.8; c.setLineDash([]);
  switch (kind) {
    case "started": case "resumed": c.fillStyle = colour.holds; path([[-0.7, -0.9], [0.9, 0], [-0.7, 0.9]]); c.fill(); break;
    case "killed": case "panicked": c.strokeStyle = colour.violated; path([[-0.8, -0.8], [0.8, 0.8]], false); c.stroke(); path([[0.8, -0.8], [-0.8, 0.8]], false); c.stroke(); break;
    case "stopped": c.fillStyle = colour.violated; c.fillRect(x - r * 0.75, y - r * 0.75, r * 1.5, r * 1.5); break;
    case "paused": c.fillStyle = colour["paused-line"]; c.fillRect(x - r * 0.7, y - r * 0.8, r * 0.5, r * 1.6); c.fillRect(x + r * 0.2, y - r * 0.8, r * 0.5, r * 1.6); break;
    case "won": {
      c.fillStyle = colour.leader;
      path(Array.from({ length: 10 }, (_, i) => { const a = (i * Math.PI) / 5 - Math.PI / 2, k = i % 2 ? 0.48 : 1.15; return [Math.cos(a) * k, Math.sin(a) * k]; })); c.fill(); break;
    }
    case "election-failed": c.strokeStyle = colour.undecided; path([[0, -0.9], [0.9, 0], [0, 0.9], [-0.9, 0]]); c.stroke(); break;
    case "timeout": c.strokeStyle = colour.undecided; c.beginPath(); c.arc(x, y, r * 0.8, 0, 7); c.stroke(); path([[0, -0.45], [0, 0], [0.35, 0.2]], false); c.lineWidth = 1.2; c.stroke(); break;
    case "step-down": c.fillStyle = colour.undecided; path([[-0.9, -0.6], [0.9, -0.6], [0, 0.9]]); c.fill(); break;
    case "truncated": c.strokeStyle = colour.violated; c.strokeRect(x - r * 0.7, y - r * 0.7, r * 1.4, r * 1.4); path([[-0.9, 0.9], [0.9, -0.9]], false); c.stroke(); break;
    case "lost-unsynced": c.fillStyle = colour.violated; path([[0, -1], [0.75, 0.25], [0.4, 0.85], [-0.4, 0.85], [-0.75, 0.25]]); c.fill(); break;
    default: c.fillStyle = colour.soft; c.fillRect(x - 0.5, y - r, 1, r * 1.6);
  }
}

function drawUser(lane) {
  const { user, y } = lane, seen = new Set();
  ctx.fillStyle = colour.line; ctx.fillRect(GUTTER, y + lane.height, plotWidth(), 1);
  const starts = (user.starts ??= user.operations.map((op) => op.at));
  for (let i = Math.max(0, lastNotAfter(starts, view.from - user.longest)); i < user.operations.length; i += 1) {
    const op = user.operations[i];
    if (op.at > view.to) break;
    const x0 = xOf(op.at), x1 = xOf(op.end);
    if (x1 < GUTTER) continue;
    const width = Math.max(1.6, x1 - x0), special = op === state.selected || state.found.has(op) || violations[state.violation]?.operations.includes(op.id);
    const pixel = `${Math.round(x0)}:${op.row}:${op.outcome}:${isRead(op)}`;
    if (width < 2 && seen.has(pixel) && !special) continue;
    seen.add(pixel);
    ctx.globalAlpha = faded(op) && !special ? 0.2 : 1;
    operationBar(ctx, op, x0, y + 2 + op.row * OP_ROW, width, OP_ROW - 3);
    ctx.globalAlpha = 1;
    outline(op, x0 - 2, y + op.row * OP_ROW, width + 4, OP_ROW + 1);
    hit(x0, x0 + width, y + op.row * OP_ROW, y + (op.row + 1) * OP_ROW, op);
  }
}

/** Writes fill the row, reads its lower part (until there is room to say so); ok is solid, fail hatched, unknown hollow and open to the right. */
function operationBar(c, op, x, y, width, height) {
  const read = isRead(op) && width <= 60, top = read ? y + 3 : y, h = read ? height - 3 : height;
  const style = [colour.ok, colour.fail, colour.unknown][op.outcome];
  if (op.outcome === 0) { c.fillStyle = style; c.fillRect(x, top, width, h); }
  else if (op.outcome === 1) { c.fillStyle = width > 4 ? hatches.fail : style; c.fillRect(x, top, width, h); c.strokeStyle = style; c.lineWidth = 1; if (width > 3) c.strokeRect(x + 0.5, top + 0.5, width - 1, h - 1); }
  else {
    c.fillStyle = colour.card; c.fillRect(x, top, width, h);
    c.strokeStyle = style; c.lineWidth = 1.5; c.setLineDash(width > 8 ? [4, 2] : []);
    c.beginPath(); c.moveTo(x + width, top + 0.75); c.lineTo(x + 0.75, top + 0.75); c.lineTo(x + 0.75, top + h - 0.75); c.lineTo(x + width, top + h - 0.75); c.stroke(); c.setLineDash([]);
  }
  if (width < 12) return;
  const ink = op.outcome === 0 ? colour.card : colour.ink;
  const label = width > 60 ? fitted(operationText(op), width - 8, { size: 10 }) : op.call[0].toUpperCase();
  if (!label) return;
  if (op.outcome !== 0) { ctx.font = FONT(10, 400); c.fillStyle = colour.card; c.fillRect(x + 3, top + 1.5, Math.min(width - 6, ctx.measureText(label).width + 4), h - 3); }
  text(label, x + 5, top + h / 2 + 0.5, { size: 10, fill: ink });
}

function visibleOperations() {
  const starts = (operations.starts ??= operations.map((op) => op.at));
  return operations.slice(Math.max(0, lastNotAfter(starts, view.from)), lastNotAfter(starts, view.to) + 1);
}

function drawRate(lane) {
  // At least a fifth of a second: shorter buckets hold one operation and say nothing about a rate.
  const step = Math.max(2e5, ((view.to - view.from) / plotWidth()) * 7), first = Math.floor(view.from / step);
  const width = (step / (view.to - view.from)) * plotWidth();
  const buckets = Array.from({ length: Math.ceil(plotWidth() / width) + 2 }, () => [0, 0, 0]);
  for (const op of visibleOperations()) { const b = buckets[Math.floor(op.at / step) - first]; if (b) b[op.outcome] += 1; }
  const most = stacked(buckets, (i) => xOf((first + i) * step), width - 1, lane.y, lane.height);
  const rate = most / (step / 1e6);
  note(`peak ${rate >= 10 ? grouped(Math.round(rate)) : rate.toFixed(1)}/s`, lane.y + 6);
  ctx.fillStyle = colour["line-strong"]; ctx.fillRect(GUTTER, lane.y + lane.height, plotWidth(), 1);
}

function note(string, y) {
  ctx.font = FONT(10.5, 400);
  const width = ctx.measureText(string).width + 8, x = GUTTER + plotWidth() - 4;
  ctx.globalAlpha = 0.8; ctx.fillStyle = colour.card; ctx.fillRect(x - width + 4, y - 8, width, 16); ctx.globalAlpha = 1;
  text(string, x, y, { fill: colour.soft, align: "right", size: 10.5 });
}

/** Latency on a logarithmic scale, a decade a line; shape tells the outcome. */
function drawLatency(lane) {
  const low = 2.5, high = 7.2, bottom = lane.y + lane.height;
  const yOf = (us) => bottom - 3 - ((Math.min(high, Math.max(low, Math.log10(Math.max(1, us)))) - low) / (high - low)) * (lane.height - 6);
  for (const [us, label] of [[1e3, "1 ms"], [1e4, "10 ms"], [1e5, "100 ms"], [1e6, "1 s"]]) {
    ctx.fillStyle = colour.line; ctx.fillRect(GUTTER, Math.round(yOf(us)), plotWidth(), 1);
    text(label, GUTTER + 4, yOf(us) - 5, { size: 9.5, fill: colour.faint });
  }
  const seen = new Set();
  for (const op of visibleOperations()) {
    if (op.open) continue;
    const x = xOf(op.at), y = yOf(op.took), pixel = `${Math.round(x / 2)}:${Math.round(y / 2)}:${op.outcome}`;
    if (seen.has(pixel) && op !== state.selected) continue;
    seen.add(pixel);
    ctx.globalAlpha = faded(op) ? 0.15 : 0.85;
    if (op.outcome === 0) { ctx.fillStyle = colour.ok; ctx.beginPath(); ctx.arc(x, y, 1.8, 0, 7); ctx.fill(); }
    else { ctx.strokeStyle = op.outcome === 1 ? colour.fail : colour.unknown; ctx.lineWidth = 1.3; ctx.beginPath();
      if (op.outcome === 1) { ctx.moveTo(x - 2.5, y - 2.5); ctx.lineTo(x + 2.5, y + 2.5); ctx.moveTo(x + 2.5, y - 2.5); ctx.lineTo(x - 2.5, y + 2.5); } else ctx.arc(x, y, 2.6, 0, 7);
      ctx.stroke(); }
    ctx.globalAlpha = 1;
    if (op === state.selected) outline(op, x - 5, y - 5, 10, 10);
    hit(x - 2, x + 2, y - 3, y + 3, op);
  }
}
