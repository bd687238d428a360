// How the instances of each service fare: a band for each, in which every instance has its share of the
// height, and figures where there is room.

const HEALTH = 15;
const HEALTH_PARTS = [
  ["passing", "leader-fill", "leader"],
  ["warning", "candidate-fill", "unknown"],
  ["critical", "failed-fill", "violated"],
];

const healthTotal = (row) => row.passing + row.warning + row.critical;

/** "2 pass, 1 is critical"; "no instance". */
function healthWords(row) {
  const one = (count, each, all) => count && `${count} ${count === 1 ? each : all}`;
  const parts = [
    one(row.passing, "passes", "pass"),
    one(row.warning, "warns", "warn"),
    one(row.critical, "is critical", "are critical"),
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "no instance";
}

/** The spans in which the counts of a service do not change. */
function healthOf(service) {
  return service.rows.map((row, i) => ({
    ...row,
    type: "health",
    key: `service:${service.name}:${row.at}`,
    kind: `service ${HEALTH_PARTS.map(([part]) => part).filter((part) => row[part]).join(" ")}`,
    end: service.rows[i + 1]?.at ?? lanes.end,
    lane: service.name,
    short: healthWords(row),
    text: `${service.name}: ${healthWords(row)}`,
  }));
}

function servicesOf(rows) {
  return rows.map((service) => {
    const spans = healthOf(service);
    return { name: service.name, spans, most: Math.max(1, ...spans.map(healthTotal)) };
  });
}

function drawHealth(lane) {
  const { service, y } = lane;
  ctx.fillStyle = colour.line;
  ctx.fillRect(GUTTER, y + HEALTH, plotWidth(), 1);
  for (const span of service.spans) {
    if (span.end < view.from || span.at > view.to) continue;
    const x0 = xOf(span.at),
      x1 = Math.max(x0 + 1, xOf(span.end));
    let bottom = y + HEALTH;
    ctx.globalAlpha = faded(span) ? 0.25 : 1;
    for (const [part, fill, line] of HEALTH_PARTS) {
      if (!span[part]) continue;
      const height = (span[part] / service.most) * HEALTH;
      ctx.fillStyle = colour[fill];
      ctx.fillRect(x0, bottom - height, x1 - x0, height);
      ctx.fillStyle = colour[line];
      ctx.fillRect(x0, bottom - height, x1 - x0, 1.5);
      bottom -= height;
    }
    const left = Math.max(x0, GUTTER) + 5;
    const label = fitted(span.short, Math.min(x1, GUTTER + plotWidth()) - left - 3, { size: 10 });
    if (label) text(label, left, y + HEALTH / 2 + 0.5, { size: 10, fill: colour.soft });
    ctx.globalAlpha = 1;
    outline(span, x0 - 1, y - 1, x1 - x0 + 2, HEALTH + 2);
    hit(x0, x1, y, y + HEALTH, span);
  }
}
