// The strips: the whole run at the top, rate and latency at the bottom.

function drawOverview(lane) {
  const { y, height } = lane,
    right = GUTTER + plotWidth();
  text(lane.label, 14, y + height / 2, { fill: colour.soft });
  ctx.fillStyle = colour.wash;
  ctx.fillRect(GUTTER, y, plotWidth(), height);
  // who leads
  for (const node of nodes)
    for (const role of node.roles) {
      if (role.role !== "leader") continue;
      const x0 = overviewX(role.from),
        x1 = Math.max(x0 + 1, overviewX(role.to));
      ctx.fillStyle = colour["leader-fill"];
      ctx.fillRect(x0, y, x1 - x0, 16);
      ctx.fillStyle = colour.leader;
      ctx.fillRect(x0, y, 2, 16);
      const label = fitted(`${node.name} leads`, x1 - x0 - 8);
      if (label) text(label, x0 + 6, y + 8.5, { size: 10.5 });
    }
  // faults
  ctx.fillStyle = colour.fault;
  for (const fault of faults)
    ctx.fillRect(overviewX(fault.at), y + 19, Math.max(2, overviewX(fault.end) - overviewX(fault.at)), 5);
  drawOverviewRate(y + 27, height - 27);
  for (const violation of violations) pin(overviewX(violation.at), y, height);
  // the window
  const x0 = overviewX(view.from),
    x1 = overviewX(view.to);
  ctx.globalAlpha = 0.55;
  ctx.fillStyle = colour.card;
  ctx.fillRect(GUTTER, y, Math.max(0, x0 - GUTTER), height);
  ctx.fillRect(x1, y, Math.max(0, right - x1), height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour.select;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(
    Math.max(GUTTER, x0) + 0.5,
    y + 0.5,
    Math.max(3, Math.min(right, x1) - Math.max(GUTTER, x0)) - 1,
    height - 1,
  );
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

function visibleOperations() {
  const starts = (operations.starts ??= operations.map((op) => op.at));
  return operations.slice(Math.max(0, lastNotAfter(starts, view.from)), lastNotAfter(starts, view.to) + 1);
}

function drawRate(lane) {
  // At least a fifth of a second: shorter buckets hold one operation and say nothing about a rate.
  const step = Math.max(2e5, ((view.to - view.from) / plotWidth()) * 7),
    first = Math.floor(view.from / step);
  const width = (step / (view.to - view.from)) * plotWidth();
  const buckets = Array.from({ length: Math.ceil(plotWidth() / width) + 2 }, () => [0, 0, 0]);
  for (const op of visibleOperations()) {
    const b = buckets[Math.floor(op.at / step) - first];
    if (b) b[op.outcome] += 1;
  }
  const most = stacked(buckets, (i) => xOf((first + i) * step), width - 1, lane.y, lane.height);
  const rate = most / (step / 1e6);
  note(`peak ${rate >= 10 ? grouped(Math.round(rate)) : rate.toFixed(1)}/s`, lane.y + 6);
  ctx.fillStyle = colour["line-strong"];
  ctx.fillRect(GUTTER, lane.y + lane.height, plotWidth(), 1);
}

const DECADES = [
  [1e3, "1 ms"],
  [1e4, "10 ms"],
  [1e5, "100 ms"],
  [1e6, "1 s"],
];

/** The height of a latency, on a logarithmic scale from a third of a millisecond to 16 seconds. */
function latencyY(lane, us) {
  const low = 2.5,
    high = 7.2,
    share = (Math.min(high, Math.max(low, Math.log10(Math.max(1, us)))) - low) / (high - low);
  return lane.y + lane.height - 3 - share * (lane.height - 6);
}

function labelLatency(lane) {
  for (const [us, label] of DECADES) {
    text(label, GUTTER - 6, latencyY(lane, us), { size: 9.5, fill: colour.faint, align: "right" });
  }
}

/** One dot an operation; its shape tells the outcome. */
function drawLatency(lane) {
  ctx.fillStyle = colour.line;
  for (const [us] of DECADES) ctx.fillRect(GUTTER, Math.round(latencyY(lane, us)), plotWidth(), 1);
  const seen = new Set();
  for (const op of visibleOperations()) {
    if (op.open) continue;
    const x = xOf(op.at),
      y = latencyY(lane, op.took),
      pixel = `${Math.round(x / 2)}:${Math.round(y / 2)}:${op.outcome}`;
    if (seen.has(pixel) && op !== state.selected) continue;
    seen.add(pixel);
    ctx.globalAlpha = faded(op) ? 0.15 : 0.85;
    if (op.outcome === 0) {
      ctx.fillStyle = colour.ok;
      ctx.beginPath();
      ctx.arc(x, y, 1.8, 0, 7);
      ctx.fill();
    } else {
      ctx.strokeStyle = op.outcome === 1 ? colour.fail : colour.unknown;
      ctx.lineWidth = 1.3;
      ctx.beginPath();
      if (op.outcome === 1) {
        ctx.moveTo(x - 2.5, y - 2.5);
        ctx.lineTo(x + 2.5, y + 2.5);
        ctx.moveTo(x + 2.5, y - 2.5);
        ctx.lineTo(x - 2.5, y + 2.5);
      } else ctx.arc(x, y, 2.6, 0, 7);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    if (op === state.selected) outline(op, x - 5, y - 5, 10, 10);
    hit(x - 2, x + 2, y - 3, y + 3, op);
  }
}
