// The lanes, top to bottom. One canvas; only what is in the window is drawn, and what would fall on a
// pixel that already says the same is left out: a frame costs what can be seen and not what there is.

const OP_ROW = 17,
  FAULT_ROW = 21,
  LEAST_NODE = 60,
  CLIENT = 38;
let nodeHeight = LEAST_NODE;
let hits = [],
  layout = [],
  scale = { low: 0, high: 1 };

/** The instant that the panels and the labels speak of: the cursor, the selection while it is in
    sight, or the end of what is seen. */
function inspected() {
  const selected = state.selected?.at ?? NaN,
    inSight = selected >= view.from && selected <= view.to;
  return Math.min(Math.max(state.cursor ?? (inSight ? selected : view.to), lanes.start), lanes.end);
}

/** Nodes take the room that is left on the screen, within reason. */
function fitNodes() {
  nodeHeight = LEAST_NODE;
  const top = canvas.getBoundingClientRect().top + window.scrollY;
  const left = window.innerHeight - top - placeLanes() - 30;
  nodeHeight = LEAST_NODE + Math.round(Math.min(36, Math.max(0, left / Math.max(1, nodes.filter((node) => node.server).length))));
}

/** Places the lanes, top to bottom; returns the height of all. */
function placeLanes() {
  layout = [];
  let y = 8;
  const place = (kind, height, extra = {}, gap = 7) => {
    layout.push({ kind, y, height, ...extra });
    y += height + gap;
  };
  place("overview", 62, { label: "whole run" }, 10);
  place("axis", 20, {}, 4);
  faults.rows ??= packed(faults, 0.11 * (lanes.end - lanes.start), 5);
  place("faults", Math.max(1, faults.length ? faults.rows : 1) * FAULT_ROW + 3, { label: "faults" });
  const seen = nodes.some((node) => node.opinions.length);
  for (const node of nodes) {
    // An agent in client mode has no log to draw.
    const height = node.server ? nodeHeight : CLIENT;
    place("node", height, { label: node.name, node }, seen ? 2 : 7);
    if (seen) place("opinions", BAND, { label: "seen as", node });
  }
  if (services.length) y += 3;
  for (const service of services) place("health", HEALTH, { label: service.name, service }, 4);
  if (users.length) y += 3;
  for (const user of users) place("user", user.rows * OP_ROW + 5, { label: user.label, user }, 5);
  if (operations.length) {
    y += 3;
    place("rate", 44, { label: "operations" });
    place("latency", 84, { label: "latency" });
  }
  return y + 4;
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  fitNodes();
  const width = canvas.parentElement.clientWidth,
    height = placeLanes();
  view.width = width;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
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

const drawBand = (lane) => drawOpinions(lane.node, lane.y);
const DRAW = { opinions: drawBand, health: drawHealth, faults: drawFaults, node: drawNode, user: drawUser, rate: drawRate, latency: drawLatency };

function clipped(y, height, body) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(GUTTER, y, plotWidth(), height);
  ctx.clip();
  body();
  ctx.restore();
}

function hit(x0, x1, y0, y1, item) {
  if (x1 < GUTTER || x0 > GUTTER + plotWidth()) return;
  hits.push({ x0: Math.min(x0, (x0 + x1) / 2 - 3), x1: Math.max(x1, (x0 + x1) / 2 + 3), y0, y1, item });
}

function faded(item) {
  return state.query && !state.found.has(item);
}

function drawLabel(lane) {
  const middle = lane.y + (lane.kind === "latency" ? 10 : lane.height / 2);
  if (lane.kind === "node") {
    const now = nodeAt(lane.node, inspected());
    const top = lane.y + (lane.height < LEAST_NODE ? 11 : 16);
    text(fitted(lane.label, GUTTER - 20, { size: 13, weight: 650 }), 14, top, {
      size: 13,
      weight: 650,
    });
    text(now.state, 14, top + 17, { fill: colour.soft });
    if (now.term !== null) text(`term ${now.term}`, 14, top + 32, { fill: colour.faint });
    return;
  }
  if (lane.kind === "opinions")
    return text(lane.label, 14, lane.y + BAND / 2 + 0.5, { size: 10, fill: colour.faint });
  if (lane.kind === "latency") labelLatency(lane);
  const strong = lane.kind === "user";
  text(fitted(lane.label, GUTTER - 20, { size: strong ? 12 : 11, weight: strong ? 600 : 400 }), 14, middle, {
    size: strong ? 12 : 11,
    weight: strong ? 600 : 400,
    fill: strong ? colour.ink : colour.soft,
  });
}

function drawAxis(lane, bottom) {
  const step = tickStep(95),
    digits = Math.max(0, -Math.floor(Math.log10(step / 1e6) + 1e-9));
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = Math.round(xOf(at)) + 0.5;
    ctx.strokeStyle = colour.line;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(x, lane.y + 15);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    if (x > GUTTER + 12 && x < GUTTER + plotWidth() - 16)
      text(seconds(at + 0, digits), x, lane.y + 7, { fill: colour.soft, align: "center" });
  }
}

/** Boot and settle are not the run proper; the violation has a band. */
function drawShades(top, bottom) {
  ctx.fillStyle = colour.wash;
  if (lanes.start < 0) ctx.fillRect(xOf(whole.from), top, xOf(0) - xOf(whole.from), bottom);
  if (lanes.end > lanes.run_end)
    ctx.fillRect(xOf(lanes.run_end), top, xOf(whole.to) - xOf(lanes.run_end), bottom);
  const violation = violations[state.violation];
  if (violation) {
    const ops = violation.operations.map((id) => operationById.get(id)).filter(Boolean);
    const last = ops.sort((a, b) => a.end - b.end).at(-1);
    const from = last ? last.at : violation.at,
      to = last ? last.end : violation.at;
    ctx.fillStyle = colour.shade;
    ctx.fillRect(xOf(from) - 2, top, Math.max(4, xOf(to) - xOf(from) + 4), bottom);
  }
}

function drawLines(axis, bottom) {
  const rule = (at, style, dash) => {
    ctx.strokeStyle = style;
    ctx.lineWidth = 1;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(xOf(at), axis.y + 14);
    ctx.lineTo(xOf(at), bottom);
    ctx.stroke();
    ctx.setLineDash([]);
  };
  for (const mark of marks) {
    rule(mark.at, colour["line-strong"], [2, 3]);
    hit(xOf(mark.at) - 2, xOf(mark.at) + 2, axis.y, axis.y + axis.height, mark);
  }
  for (const violation of violations) {
    const x = xOf(violation.at);
    ctx.fillStyle = colour.violated;
    ctx.beginPath();
    ctx.moveTo(x - 5, axis.y + 12);
    ctx.lineTo(x + 5, axis.y + 12);
    ctx.lineTo(x, axis.y + 20);
    ctx.closePath();
    ctx.fill();
    rule(violation.at, colour.violated, []);
    hit(x - 5, x + 5, axis.y + 8, axis.y + 24, violation);
  }
  if (state.selected) rule(state.selected.at, colour.select, [5, 3]);
  if (state.cursor !== null) {
    rule(state.cursor, colour.soft, [1, 2]);
    const x = Math.min(Math.max(xOf(state.cursor), GUTTER + 34), GUTTER + plotWidth() - 34);
    ctx.fillStyle = colour.ink;
    ctx.fillRect(x - 34, axis.y - 1, 68, 16);
    text(seconds(state.cursor, 3), x, axis.y + 7, { fill: colour.card, align: "center" });
  }
}

function drawFaults(lane) {
  if (!faults.length) {
    text("no faults in this run", GUTTER + 8, lane.y + lane.height / 2, { fill: colour.faint });
    return;
  }
  for (const fault of faults) {
    const next = faults.find((other) => other.row === fault.row && other.at > fault.at);
    const limit = next ? xOf(next.at) : GUTTER + plotWidth();
    if (limit < GUTTER || fault.at > view.to) continue;
    const x0 = xOf(fault.at),
      x1 = xOf(fault.end),
      y = lane.y + 1 + fault.row * FAULT_ROW,
      height = FAULT_ROW - 4;
    ctx.globalAlpha = faded(fault) ? 0.25 : 1;
    faultShape(fault, x0, x1, y, height);
    const right = faultLabel(fault, x0, x1, y, height, limit);
    ctx.globalAlpha = 1;
    outline(fault, x0 - 1, y - 1, Math.max(9, x1 - x0 + 2), height + 2);
    hit(x0, Math.max(x1, right), y, y + height, fault);
  }
}

/** What lasts is a bar, with a wedge at its end where it was undone; what is done in an instant is a flag. */
function faultShape(fault, x0, x1, y, height) {
  const wedge = (tip, back) => {
    ctx.beginPath();
    ctx.moveTo(tip, y + height / 2);
    ctx.lineTo(back, y);
    ctx.lineTo(back, y + height);
    ctx.fill();
  };
  if (fault.lasting) {
    ctx.fillStyle = hatches.fault;
    ctx.fillRect(x0, y, x1 - x0, height);
    ctx.fillStyle = colour.fault;
    ctx.fillRect(x0, y, 3, height);
    if (fault.undone) {
      ctx.fillRect(x1 - 2, y, 2, height);
      wedge(x1 - 8, x1 - 2);
    }
  } else {
    ctx.fillStyle = colour.fault;
    ctx.fillRect(x0 - 1, y, 2, height);
    wedge(x0 + 8, x0);
  }
}

/** In the bar when it fits there, behind it otherwise; returns where it ends. */
function faultLabel(fault, x0, x1, y, height, limit) {
  const facts = [
    faultText(fault),
    fault.chaos && "chaos",
    fault.failed && "FAILED",
    fault.skipped && "skipped",
  ];
  const label = facts.filter(Boolean).join(" · ");
  ctx.font = FONT(11, 400);
  const width = ctx.measureText(label).width,
    left = Math.max(x0, GUTTER);
  const inside = fault.lasting && width + 14 <= Math.min(x1, GUTTER + plotWidth()) - left;
  if (inside) {
    ctx.fillStyle = colour["fault-fill"];
    ctx.fillRect(left + 5, y + 1, width + 6, height - 2);
  }
  const start = inside ? left + 8 : fault.lasting ? x1 + 5 : x0 + 12;
  const string = inside ? label : fitted(label, limit - start - 6);
  if (!string) return x1;
  text(string, start, y + height / 2 + 0.5);
  return start + Math.min(width, limit - start);
}

/** The frame of what is selected, found, or part of the violation that is shown. */
function outline(item, x, y, width, height) {
  const proves = item.type === "operation" && violations[state.violation]?.operations.includes(item.id);
  const stroke =
    item === state.selected
      ? colour.select
      : proves
        ? colour.violated
        : state.found.has(item)
          ? colour.found
          : null;
  if (!stroke) return;
  ctx.strokeStyle = stroke;
  ctx.lineWidth = item === state.selected || proves ? 2 : 1.5;
  ctx.strokeRect(x, y, width, height);
}

function drawUser(lane) {
  const { user, y } = lane,
    seen = new Set();
  ctx.fillStyle = colour.line;
  ctx.fillRect(GUTTER, y + lane.height, plotWidth(), 1);
  const starts = (user.starts ??= user.operations.map((op) => op.at));
  for (
    let i = Math.max(0, lastNotAfter(starts, view.from - user.longest));
    i < user.operations.length;
    i += 1
  ) {
    const op = user.operations[i];
    if (op.at > view.to) break;
    const x0 = xOf(op.at),
      x1 = xOf(op.end);
    if (x1 < GUTTER) continue;
    const width = Math.max(1.6, x1 - x0),
      special =
        op === state.selected ||
        state.found.has(op) ||
        violations[state.violation]?.operations.includes(op.id);
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
