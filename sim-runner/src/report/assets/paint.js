// Paint and brushes: colours of the theme, hatching, text, and the shapes that lanes and legend share.

const ctx = canvas.getContext("2d");
let colour = {},
  hatches = {};

const COLOURS = (
  "ink soft faint line line-strong wash card ok fail unknown leader leader-fill candidate-fill follower-fill " +
  "down-fill down-line failed-fill paused-line paused-fill commit fault fault-fill select violated found shade holds undecided"
).split(" ");

/** Takes the colours of the style sheet; again after the theme changed. */
function readColours() {
  const style = getComputedStyle(root);
  colour = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
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
  c.fillStyle = fill;
  c.fillRect(0, 0, size, size);
  c.strokeStyle = line;
  c.lineWidth = kind === "dense" ? 1.6 : 1.1;
  c.beginPath();
  if (kind === "bars") {
    c.moveTo(2.5, 0);
    c.lineTo(2.5, size);
  } else
    for (const shift of [-size, 0, size]) {
      c.moveTo(shift, size);
      c.lineTo(shift + size, 0);
    }
  c.stroke();
  return ctx.createPattern(tile, "repeat");
}

const SANS = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";
const FONT = (size, weight) => `${weight} ${size}px ${SANS}`;

function text(string, x, y, { size = 11, weight = 400, fill = colour.ink, align = "left" } = {}) {
  ctx.font = FONT(size, weight);
  ctx.textAlign = align;
  ctx.fillStyle = fill;
  ctx.fillText(string, x, y);
}

/** As much of a text as fits, or nothing. */
function fitted(string, width, options = {}) {
  ctx.font = FONT(options.size ?? 11, options.weight ?? 400);
  if (ctx.measureText(string).width <= width) return string;
  let low = 0,
    high = string.length;
  while (low < high) {
    const m = (low + high + 1) >> 1;
    if (ctx.measureText(`${string.slice(0, m)}…`).width <= width) low = m;
    else high = m - 1;
  }
  return low >= 3 ? `${string.slice(0, low).trimEnd()}…` : "";
}

/** One shape per kind of moment, so that a lane can be read without colours: how it is painted, in
    which colour, and its outline in a square from -1 to 1. */
const GLYPHS = {
  started: ["fill", "holds", "M-.7 -.9 L.9 0 L-.7 .9 Z"],
  resumed: ["fill", "holds", "M-.7 -.9 L.9 0 L-.7 .9 Z"],
  killed: ["stroke", "violated", "M-.8 -.8 L.8 .8 M.8 -.8 L-.8 .8"],
  panicked: ["stroke", "violated", "M-.8 -.8 L.8 .8 M.8 -.8 L-.8 .8 M0 -1 L0 1"],
  stopped: ["fill", "violated", "M-.75 -.75 H.75 V.75 H-.75 Z"],
  paused: ["fill", "paused-line", "M-.7 -.8 H-.2 V.8 H-.7 Z M.2 -.8 H.7 V.8 H.2 Z"],
  won: [
    "fill",
    "leader",
    "M0 -1.15 L.28 -.39 L1.09 -.36 L.46 .15 L.68 .93 L0 .48 L-.68 .93 L-.46 .15 L-1.09 -.36 L-.28 -.39 Z",
  ],
  "election-failed": ["stroke", "undecided", "M0 -.9 L.9 0 L0 .9 L-.9 0 Z"],
  timeout: ["stroke", "undecided", "M.8 0 A.8 .8 0 1 1 -.8 0 A.8 .8 0 1 1 .8 0 M0 -.45 V0 L.35 .2"],
  "step-down": ["fill", "undecided", "M-.9 -.6 H.9 L0 .9 Z"],
  truncated: ["stroke", "violated", "M-.7 -.7 H.7 V.7 H-.7 Z M-.9 .9 L.9 -.9"],
  "lost-unsynced": ["fill", "violated", "M0 -1 L.75 .25 L.4 .85 H-.4 L-.75 .25 Z"],
  "disk-struck": ["stroke", "violated", "M-.8 -.5 H.8 V.7 H-.8 Z M-.3 -.9 L.2 -.1 H-.3 L.3 .9"],
  "disk-fault": ["stroke", "undecided", "M-.8 -.5 H.8 V.7 H-.8 Z"],
  "member-joined": ["stroke", "holds", "M-.6 0 H.6 M0 -.6 V.6"],
  "member-failed": ["stroke", "violated", "M.8 0 A.8 .8 0 1 1 -.8 0 A.8 .8 0 1 1 .8 0 M-.5 -.5 L.5 .5 M.5 -.5 L-.5 .5"],
  "member-left": ["stroke", "down-line", "M.8 0 A.8 .8 0 1 1 -.8 0 A.8 .8 0 1 1 .8 0 M-.5 0 H.5"],
  refuted: ["stroke", "holds", "M-.8 -.5 H.8 V.4 H0 L-.5 .9 V.4 H-.8 Z"],
  "user-event": ["fill", "commit", "M0 -.8 L.8 0 L0 .8 L-.8 0 Z"],
  command: ["stroke", "ink", "M-.7 -.7 L.1 0 L-.7 .7 M.2 .7 H.9"],
  clock: ["stroke", "undecided", "M.9 0 A.9 .9 0 1 1 -.9 0 A.9 .9 0 1 1 .9 0 M-.6 .6 L.6 -.6"],
};
const TICK = ["fill", "soft", "M-.1 -1 H.1 V.6 H-.1 Z"];

function glyph(c, kind, x, y, r) {
  const [how, paint, outline] = GLYPHS[kind] ?? TICK;
  c.save();
  c.translate(x, y);
  c.scale(r, r);
  c.setLineDash([]);
  c.lineWidth = 1.7 / r;
  c[`${how}Style`] = colour[paint];
  c[how](new Path2D(outline));
  c.restore();
}

/** Writes fill the row, reads its lower part (until there is room to say so); ok is solid, fail
    hatched, unknown hollow and open to the right. */
function operationBar(c, op, x, y, width, height) {
  const read = isRead(op) && width <= 60,
    top = read ? y + 3 : y,
    h = read ? height - 3 : height;
  const style = [colour.ok, colour.fail, colour.unknown][op.outcome];
  if (op.outcome === 0) {
    c.fillStyle = style;
    c.fillRect(x, top, width, h);
  } else if (op.outcome === 1) {
    c.fillStyle = width > 4 ? hatches.fail : style;
    c.fillRect(x, top, width, h);
    c.strokeStyle = style;
    c.lineWidth = 1;
    if (width > 3) c.strokeRect(x + 0.5, top + 0.5, width - 1, h - 1);
  } else {
    c.fillStyle = colour.card;
    c.fillRect(x, top, width, h);
    c.strokeStyle = style;
    c.lineWidth = 1.5;
    c.setLineDash(width > 8 ? [4, 2] : []);
    c.beginPath();
    c.moveTo(x + width, top + 0.75);
    c.lineTo(x + 0.75, top + 0.75);
    c.lineTo(x + 0.75, top + h - 0.75);
    c.lineTo(x + width, top + h - 0.75);
    c.stroke();
    c.setLineDash([]);
  }
  const left = Math.max(x, GUTTER),
    room = Math.min(x + width, GUTTER + plotWidth()) - left;
  if (room < 12) return;
  const ink = op.outcome === 0 ? colour.card : colour.ink;
  const label = width > 60 ? fitted(operationText(op), room - 8, { size: 10 }) : op.call[0].toUpperCase();
  if (!label) return;
  if (op.outcome !== 0) {
    ctx.font = FONT(10, 400);
    c.fillStyle = colour.card;
    c.fillRect(left + 3, top + 1.5, Math.min(room - 4, ctx.measureText(label).width + 4), h - 3);
  }
  text(label, left + 5, top + h / 2 + 0.5, { size: 10, fill: ink });
}

function stacked(buckets, xOfBucket, width, y, height) {
  const most = Math.max(1, ...buckets.map((b) => b[0] + b[1] + b[2]));
  buckets.forEach((bucket, i) => {
    let top = y + height;
    const fills = [colour.ok, hatches.fail, colour.unknown];
    for (const outcome of [0, 2, 1]) {
      const h = (bucket[outcome] / most) * (height - 2);
      if (!h) continue;
      top -= h;
      ctx.fillStyle = fills[outcome];
      ctx.fillRect(xOfBucket(i), top, width, h);
    }
  });
  return most;
}

function pin(x, y, height) {
  ctx.strokeStyle = ctx.fillStyle = colour.violated;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x, y + height);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x - 5, y);
  ctx.lineTo(x + 5, y);
  ctx.lineTo(x, y + 8);
  ctx.closePath();
  ctx.fill();
}

function note(string, y) {
  ctx.font = FONT(10.5, 400);
  const width = ctx.measureText(string).width + 8,
    x = GUTTER + plotWidth() - 4;
  ctx.globalAlpha = 0.8;
  ctx.fillStyle = colour.card;
  ctx.fillRect(x - width + 4, y - 8, width, 16);
  ctx.globalAlpha = 1;
  text(string, x, y, { fill: colour.soft, align: "right", size: 10.5 });
}
