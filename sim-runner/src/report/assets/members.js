// What the others think of a node as a member: a band below its lane. Nothing is drawn while all that run
// list it as alive; otherwise each opinion has its share of the band, and words where there is room.

const THOUGHTS = ["failed", "left", "suspect", "unlisted"];
const THOUGHT_WORDS = {
  failed: "failed",
  left: "left",
  suspect: "suspected",
  unlisted: "unknown",
};
const BAND = 13;

const isDown = (node, at) =>
  node.life.some((each) => each.state === "down" && each.from <= at && at < each.to);

/** Names as in a sentence: "n1, n2 and n3". */
function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The spans in which somebody does not list the node as alive, cut wherever an opinion changes. */
function opinionsOf(node) {
  // Who runs nowhere and is known to nobody is nobody's member.
  const rows = node.seen.filter((row) => row.state !== "unlisted" || !isDown(node, row.from));
  const cuts = [...new Set(rows.flatMap((row) => [row.from, row.to]))].sort((a, b) => a - b);
  const spans = [];
  cuts.slice(0, -1).forEach((at, i) => {
    const end = cuts[i + 1],
      held = rows.filter((row) => row.from <= at && at < row.to).sort((a, b) => a.by - b.by);
    if (!held.length) return;
    const others = nodes.filter((other) => other !== node && !isDown(other, at));
    const groups = THOUGHTS.map((state) => [state, held.filter((row) => row.state === state)]).filter(
      ([, by]) => by.length,
    );
    const alive = others.filter((other) => !held.some((row) => nodes[row.by] === other));
    const short = groups.map(
      ([state, by]) => `${THOUGHT_WORDS[state]} at ${listed(by.map((row) => nodes[row.by].name))}`,
    );
    const since = groups.map(([state, by]) => {
      const each = by.map((row) => `${nodes[row.by].name} since ${seconds(row.from, 1)}`);
      return `${THOUGHT_WORDS[state]} at ${listed(each)}`;
    });
    if (alive.length) since.push(`alive at ${listed(alive.map((other) => other.name))}`);
    spans.push({
      type: "opinion",
      key: `seen:${node.name}:${at}`,
      kind: `seen as ${groups.map(([state]) => THOUGHT_WORDS[state]).join(", ")}`,
      at,
      end,
      lane: node.name,
      text: `${node.name} is ${since.join("; ")}`,
      short: short.join("; "),
      shares: groups.map(([state, by]) => [state, by.length / Math.max(held.length, others.length)]),
    });
  });
  return spans;
}

/** How a node is listed at an instant, for the table: "alive", or by whom it is not. */
function listedAt(node, at) {
  const span = node.opinions.find((each) => each.at <= at && at < each.end);
  return span ? span.short : "alive";
}

function drawOpinions(node, y) {
  ctx.fillStyle = colour.line;
  ctx.fillRect(GUTTER, y + BAND / 2, plotWidth(), 1);
  let before = -Infinity;
  for (const span of node.opinions) {
    if (span.end < view.from || span.at > view.to) continue;
    const x0 = xOf(span.at),
      x1 = Math.max(x0 + 1.5, xOf(span.end));
    let top = y;
    ctx.globalAlpha = faded(span) ? 0.25 : 1;
    ctx.fillStyle = colour.card;
    ctx.fillRect(x0, y, x1 - x0, BAND);
    for (const [state, share] of span.shares) {
      const height = Math.max(2, share * BAND);
      ctx.fillStyle = thoughtFill(state);
      ctx.fillRect(x0, top, x1 - x0, height);
      ctx.fillStyle = thoughtInk(state);
      ctx.fillRect(x0, top, Math.min(2, x1 - x0), height);
      top += height;
    }
    const left = Math.max(x0, GUTTER) + 5;
    const room = Math.min(x1, GUTTER + plotWidth()) - left - 3;
    const label = left > before && fitted(span.short, room, { size: 10 });
    if (label) {
      text(label, left, y + BAND / 2 + 0.5, { size: 10 });
      before = left + ctx.measureText(label).width;
    }
    ctx.globalAlpha = 1;
    outline(span, x0 - 1, y - 1, x1 - x0 + 2, BAND + 2);
    hit(x0, x1, y, y + BAND, span);
  }
}

function thoughtFill(state) {
  const fills = { failed: "failed-fill", left: "down-fill", suspect: "candidate-fill", unlisted: "wash" };
  return colour[fills[state]];
}
function thoughtInk(state) {
  const inks = { failed: "violated", left: "down-line", suspect: "unknown", unlisted: "line-strong" };
  return colour[inks[state]];
}
