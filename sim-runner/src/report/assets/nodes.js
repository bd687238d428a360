// A node's lane: role and life as background, the commit index as a line, moments above, losses below.

function drawNode(lane) {
  const { node, y, height } = lane,
    bottom = y + height;
  ctx.fillStyle = colour.wash;
  ctx.fillRect(GUTTER, y, plotWidth(), height);
  const fills = {
    leader: colour["leader-fill"],
    candidate: colour["candidate-fill"],
    follower: colour["follower-fill"],
  };
  for (const role of node.roles) {
    if (role.to < view.from || role.from > view.to) continue;
    const x0 = xOf(role.from),
      x1 = Math.max(x0 + 0.7, xOf(role.to)),
      leads = role.role === "leader";
    ctx.fillStyle = fills[role.role];
    ctx.fillRect(x0, y, x1 - x0, height);
    if (leads) {
      ctx.fillStyle = colour.leader;
      ctx.fillRect(x0, y, x1 - x0, 3);
    }
    if (role.role === "candidate") {
      ctx.fillStyle = colour.unknown;
      ctx.fillRect(x0, bottom - 3, x1 - x0, 3);
    }
    ctx.fillStyle = colour["line-strong"];
    ctx.fillRect(x0, y, 1, height);
    const left = Math.max(x0, GUTTER) + 6,
      label = fitted(`${role.role} · term ${role.term}`, Math.min(x1, GUTTER + plotWidth() - 44) - left - 4, {
        weight: leads ? 600 : 400,
      });
    if (label)
      text(label, left, y + 24, { weight: leads ? 600 : 400, fill: leads ? colour.ink : colour.soft });
  }
  if (!node.server) {
    ctx.fillStyle = fills.follower;
    ctx.fillRect(xOf(lanes.start), y, xOf(lanes.end) - xOf(lanes.start), height);
  }
  for (const life of node.life) {
    if (life.to < view.from || life.from > view.to) continue;
    const x0 = xOf(life.from),
      x1 = xOf(life.to),
      left = Math.max(x0, GUTTER) + 6;
    ctx.fillStyle = hatches[life.state];
    ctx.fillRect(x0, y, x1 - x0, height);
    const label = fitted(life.state, Math.min(x1, GUTTER + plotWidth()) - left - 6, { weight: 650 });
    if (label) {
      ctx.fillStyle = colour[`${life.state}-fill`];
      ctx.fillRect(left - 3, y + 16, ctx.measureText(label).width + 6, 16);
      text(label, left, y + 24.5, { weight: 650 });
    }
  }
  if (node.server) {
    drawCommit(node, y + 34, bottom - 6);
    commitFigure(node, y + 25);
  }
  drawDrops(node, bottom);
  drawMoments(node, y);
}

/** One scale for all nodes, of what is in the window: a lane that lags shows a lower line. */
function commitScale() {
  const value = (node, at) => node.commit.to[lastNotAfter(node.commit.at, at)] ?? 0;
  const high = Math.max(1, ...nodes.map((node) => value(node, view.to)));
  const low = Math.min(
    high - 1,
    ...nodes.map((node) => nodeAt(node, view.from).commit).filter((each) => each !== null),
  );
  return { low: nodes.some((node) => nodeAt(node, view.from).commit !== null) ? low : 0, high };
}

function drawCommit(node, top, bottom) {
  const { at, to } = node.commit,
    height = bottom - top,
    { low, high } = scale;
  const yOf = (value) => bottom - (Math.max(0, value - low) / (high - low)) * height;
  ctx.strokeStyle = colour.commit;
  ctx.lineWidth = 1.3;
  ctx.beginPath();
  let i = Math.max(0, lastNotAfter(at, view.from)),
    lastX = -Infinity,
    started = false;
  for (; i < at.length && at[i] <= view.to; i += 1) {
    const x = xOf(at[i]),
      falls = i > 0 && to[i] < to[i - 1];
    if (x - lastX < 0.8 && !falls && at[i + 1] <= view.to) continue;
    const before = i > 0 ? to[i - 1] : 0;
    if (!started || falls) ctx.moveTo(x, yOf(to[i]));
    else {
      ctx.lineTo(x, yOf(before));
      ctx.lineTo(x, yOf(to[i]));
    }
    started = true;
    lastX = x;
  }
  if (started) ctx.lineTo(xOf(Math.min(view.to, lanes.end)), yOf(to[i - 1]));
  ctx.stroke();
  // A process that is gone commits nothing: its hatching covers the line again.
  for (const life of node.life) {
    if (life.state !== "down" || life.to < view.from || life.from > view.to) continue;
    ctx.fillStyle = hatches.down;
    ctx.fillRect(xOf(life.from), top - 1, xOf(life.to) - xOf(life.from), height + 3);
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
    const x = xOf(at),
      width = Math.max(1.5, xOf(at + 1e5) - x - 0.5),
      h = Math.min(6, 1.5 + Math.log2(count + 1));
    ctx.fillRect(x, bottom - h, width, h);
    hit(x, x + width, bottom - 8, bottom, {
      type: "drop",
      key: "",
      at,
      end: at + 1e5,
      lane: node.name,
      text: `${node.name} lost ${grouped(count)} message${count > 1 ? "s" : ""} (${why})`,
    });
  }
}

const MINOR = new Set([
  "log",
  "mark",
  "append-rejected",
  "vote-refused",
  "leader-view",
  "voted",
  "recovered",
  "member-joined",
  "member-reaped",
  "user-event",
  "catalog",
  "local",
  "locks",
]);

/** Where marks would cover each other, these win, first to last. */
const WEIGHTIEST = [
  "panicked",
  "killed",
  "won",
  "truncated",
  "lost-unsynced",
  "started",
  "stopped",
  "step-down",
];
const weight = (moment) => {
  const at = WEIGHTIEST.indexOf(moment.kind);
  return at < 0 ? WEIGHTIEST.length : at;
};

function drawMoments(node, y) {
  const from = lastNotAfter(node.momentsAt, view.from) + 1,
    to = lastNotAfter(node.momentsAt, view.to) + 1;
  const seen = node.moments.slice(from, to),
    special = (moment) => moment === state.selected || state.found.has(moment);
  let last = -Infinity;
  for (const moment of seen.filter((each) => MINOR.has(each.kind))) {
    const x = xOf(moment.at);
    if (x - last < 2 && !special(moment)) continue;
    last = x;
    drawMoment(moment, x, y, 2, special(moment));
  }
  const taken = [];
  for (const moment of seen.filter((each) => !MINOR.has(each.kind)).sort((a, b) => weight(a) - weight(b))) {
    const x = xOf(moment.at);
    if (taken.some((other) => Math.abs(other - x) < 7) && !special(moment)) continue;
    taken.push(x);
    drawMoment(moment, x, y, 5, special(moment));
  }
  drawWords(seen, taken, y);
}

/** What was told or commanded, in words behind its mark, where there is room before the next. */
function drawWords(seen, taken, y) {
  const words = (moment) =>
    moment.kind === "command"
      ? moment.text.match(/`(.*)`/)?.[1]
      : moment.text.match(/^is told that (\S+ has (?:failed|left).*?)(?: \(LAN\))?$/)?.[1];
  for (const moment of seen) {
    const string = !MINOR.has(moment.kind) && words(moment),
      x = xOf(moment.at);
    if (!string || !taken.includes(x)) continue;
    const next = Math.min(GUTTER + plotWidth(), ...taken.filter((other) => other > x));
    const label = fitted(string, next - x - 16, { size: 10 });
    if (!label) continue;
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = colour.card;
    ctx.fillRect(x + 7, y + 3, ctx.measureText(label).width + 4, 13);
    ctx.globalAlpha = 1;
    text(label, x + 9, y + 9.5, { size: 10 });
  }
}

function drawMoment(moment, x, y, half, special) {
  ctx.globalAlpha = faded(moment) ? 0.25 : 1;
  glyph(ctx, moment.kind, x, y + (half > 2 ? 9.5 : 6.5), half > 2 ? 5 : 3.5);
  ctx.globalAlpha = 1;
  if (special) outline(moment, x - 7, y + 2, 14, 15);
  hit(x - half, x + half, y, y + (half > 2 ? 17 : 12), moment);
}
