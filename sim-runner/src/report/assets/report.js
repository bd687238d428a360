// Wiring: mouse, keys, and what is drawn again when something changes.

const tip = document.getElementById("tip"),
  searchBox = document.getElementById("search");
const by = (id) => document.getElementById(id);
let frame = 0,
  drag = null;

function drawSoon() {
  if (!frame)
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}
const overOverview = ({ y }) => y <= layout[0].y + layout[0].height + 3;

function under({ x, y }) {
  // Later is drawn on top; among what is on top the narrowest is what was meant.
  const found = hits.filter((h) => x >= h.x0 - 1 && x <= h.x1 + 1 && y >= h.y0 && y <= h.y1);
  return found.sort((a, b) => a.x1 - a.x0 - (b.x1 - b.x0))[0]?.item ?? null;
}

/** Words for a lane where nothing stands out. */
function background({ x, y }) {
  const lane = layout.find((each) => y >= each.y && y <= each.y + each.height);
  if (lane?.kind !== "node" || x < GUTTER) return null;
  const at = timeOf(x),
    now = nodeAt(lane.node, at);
  if (now.state === "down") return [`${lane.node.name} is down`, `listed: ${listedAt(lane.node, at)}`];
  if (now.commit === null) return [`${lane.node.name}: ${now.state}`, `listed: ${listedAt(lane.node, at)}`];
  return [
    `${lane.node.name}: ${now.state}${now.term === null ? "" : `, term ${now.term}`}`,
    `commit ${grouped(now.commit)}, applied ${grouped(now.applied)}, sees ${now.leader || "nobody"} as leader`,
  ];
}

function showTip(at, item) {
  const lines = item
    ? [
        itemTitle(item),
        item.type === "operation"
          ? `${item.lane} → ${item.server}, ${seconds(item.at)}, ${item.open ? "never answered" : span(item.took)}`
          : item.end > item.at
            ? `${seconds(item.at)} to ${seconds(item.end)}`
            : seconds(item.at),
      ]
    : background(at);
  tip.hidden = !lines;
  if (!lines) return;
  tip.replaceChildren(element("b", {}, lines[0]), lines[1]);
  const width = canvas.clientWidth,
    left = at.x + 16 + tip.offsetWidth > width ? at.x - tip.offsetWidth - 12 : at.x + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${at.y + 18 + tip.offsetHeight > canvas.clientHeight ? at.y - tip.offsetHeight - 10 : at.y + 18}px`;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  const at = place(event);
  drag = { start: at, moved: false, from: view.from, to: view.to, overview: overOverview(at) };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  const at = place(event);
  if (drag) {
    drag.moved ||= Math.abs(at.x - drag.start.x) > 3;
    if (!drag.moved) return;
    tip.hidden = true;
    state.cursor = null;
    if (drag.overview) {
      const [a, b] = [overviewTime(drag.start.x), overviewTime(at.x)].sort((p, q) => p - q);
      setView(a, b);
    } else {
      const by = ((at.x - drag.start.x) / plotWidth()) * (drag.to - drag.from);
      setView(drag.from - by, drag.to - by);
    }
    return;
  }
  const inside = at.x >= GUTTER && at.x <= GUTTER + plotWidth() && !overOverview(at);
  state.cursor = inside ? timeOf(at.x) : null;
  const item = inside ? under(at) : null;
  canvas.style.cursor = overOverview(at) ? "crosshair" : item ? "pointer" : "default";
  if (inside) showTip(at, item);
  else tip.hidden = true;
  showCluster();
  drawSoon();
});
canvas.addEventListener("pointerup", (event) => {
  const at = place(event),
    was = drag;
  drag = null;
  if (!was || was.moved) return;
  if (was.overview) {
    const centre = overviewTime(at.x),
      half = (view.to - view.from) / 2;
    setView(centre - half, centre + half);
    return;
  }
  const item = at.x >= GUTTER ? under(at) : null;
  select(item?.type === "drop" ? { ...item, kind: "messages lost" } : item);
});
canvas.addEventListener("pointerleave", () => {
  state.cursor = null;
  tip.hidden = true;
  showCluster();
  drawSoon();
});
canvas.addEventListener("dblclick", (event) => zoom(0.4, timeOf(place(event).x)));
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey)
      pan(((event.deltaX || event.deltaY) / plotWidth()) * 0.9);
    else zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006), timeOf(place(event).x));
  },
  { passive: false },
);

const KEYS = {
  "+": () => zoom(0.6),
  "=": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  _: () => zoom(1 / 0.6),
  0: fit,
  Home: fit,
  ArrowLeft: (event) => pan(event.shiftKey ? -1 : -0.12),
  ArrowRight: (event) => pan(event.shiftKey ? 1 : 0.12),
  n: () =>
    violations.length &&
    showViolation(state.selected?.type === "violation" ? state.violation + 1 : state.violation),
  p: () => violations.length && showViolation(state.violation - 1),
  ",": () => stepItem(-1),
  ".": () => stepItem(1),
  z: zoomToSelection,
  c: () => copy(run.reproduce, by("copy")),
  "?": showHelp,
  "/": () => {
    searchBox.focus();
    searchBox.select();
  },
  Escape: () => {
    searchBox.value = "";
    state.selected = null;
    search("");
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || by("help").open) return;
  if (event.target === searchBox) {
    if (event.key === "Enter") nextMatch(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      KEYS.Escape();
      searchBox.blur();
    }
    return;
  }
  const action = KEYS[event.key];
  if (action) {
    event.preventDefault();
    action(event);
  }
});

searchBox.addEventListener("input", () => search(searchBox.value));
by("zoom-in").addEventListener("click", KEYS["+"]);
by("zoom-out").addEventListener("click", KEYS["-"]);
by("fit").addEventListener("click", fit);
by("next").addEventListener("click", KEYS.n);
by("previous").addEventListener("click", KEYS.p);
by("help-button").addEventListener("click", showHelp);
by("link").addEventListener("click", (event) =>
  copy(location.href.split("#")[0] + address(), event.currentTarget),
);

let addressTimer = 0,
  ownAddress = "";
changed.push(drawSoon, showDetails, showCluster, showCause, () => {
  by("matches").textContent = state.query ? `${grouped(state.found.size)} found` : "";
  by("window").textContent = `${seconds(view.from, 2)} to ${seconds(view.to, 2)}`;
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    ownAddress = address();
    try {
      history.replaceState(null, "", ownAddress);
    } catch {
      /* some viewers forbid it; the view works without an address */
    }
  }, 250);
});
window.addEventListener("hashchange", () => {
  if (location.hash !== ownAddress) followAddress();
});
new ResizeObserver(drawSoon).observe(canvas.parentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  showLegend();
  draw();
});

readColours();
placeLanes();
view.width = canvas.parentElement.clientWidth;
by("jumps").hidden = violations.length === 0;
showVerdict();
showProperties();
showLegend();
const firstUnexpected = violations.findIndex((violation) => !violation.expected);
if (!followAddress()) {
  if (firstUnexpected >= 0) showViolation(firstUnexpected);
  else showStory();
}
draw();
root.dataset.drawn = String(hits.length);
root.dataset.ready = "1";
