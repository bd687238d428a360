// The panels beside the timeline: what is selected, the cluster at that instant, properties.
// Everything is built from text nodes: no value of the run is ever read as markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function fill(id, ...children) {
  document.getElementById(id).replaceChildren(...children.filter(Boolean));
}
function pairs(rows) {
  return element(
    "dl",
    {},
    rows
      .filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

const SYMBOLS = {
  holds: "✓",
  violated: "✗",
  undecided: "?",
  skipped: "–",
  expected: "✓",
  nondeterministic: "≠",
};
function word(verdict) {
  return element(
    "span",
    { class: `word tone-${verdict}` },
    element("span", { "aria-hidden": "true" }, SYMBOLS[verdict]),
    verdict,
  );
}

async function copy(string, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(string);
  } catch {
    const area = element("textarea", { class: "visually-hidden" });
    area.value = string;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const before = (button.dataset.label ??= button.textContent);
  button.textContent = done ? "Copied" : "Select and copy";
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

function instant(at, digits = 3) {
  return element(
    "button",
    {
      class: "linkish",
      type: "button",
      title: "Show this instant",
      onclick: () => {
        const w = view.to - view.from;
        setView(at - w / 2, at + w / 2);
      },
    },
    seconds(at, digits),
  );
}

/** The fields of what is selected. */
function details(item) {
  switch (item.type) {
    case "operation":
      return pairs([
        [
          "outcome",
          [
            "ok: an answer arrived",
            "fail: certainly without effect",
            "unknown: may have happened, now, later or never",
          ][item.outcome],
        ],
        ["call", operationText(item).split(" → ")[0]],
        ["answer", item.answer || (item.outcome === 0 ? "ok" : "")],
        ["user", `${item.lane} (client ${item.client})`],
        ["sent to", item.server],
        ["called", instant(item.at, 6)],
        [
          "answered",
          item.open
            ? "never"
            : element("span", {}, instant(item.at + item.took, 6), ` after ${span(item.took)}`),
        ],
        ["X-Consul-Index", item.index || ""],
        ["operation", `number ${item.id} of the history`],
      ]);
    case "fault":
      return pairs([
        ["verb", item.verb],
        ["met", item.targets.join(", ")],
        ["as told", item.detail],
        ["step", `${item.id}${item.chaos ? ", drawn by chaos" : ""}`],
        ["from", instant(item.at)],
        [
          "until",
          item.to === null ? "the end" : element("span", {}, instant(item.to), item.undone ? ", undone" : ""),
        ],
        ["failed", item.failed],
        ["skipped", item.skipped ? "it had nothing to act on" : ""],
      ]);
    case "violation":
      return pairs([
        ["proven at", instant(item.at, 6)],
        ["signature", item.signature],
      ]);
    default:
      return pairs([
        ["at", instant(item.at, 6)],
        ["on", item.lane === "run" ? "the whole run" : item.lane],
        ["kind", item.kind],
        ["times", item.count > 1 ? item.count : ""],
      ]);
  }
}

function showDetails() {
  const item = state.selected;
  if (!item) {
    fill(
      "details",
      element("h2", {}, "Selection"),
      element(
        "p",
        { class: "muted", style: "margin:0" },
        "Click anything on the timeline: an operation, a fault, a mark on a node. " +
          "Drag to pan, turn the wheel to zoom, drag on the strip at the top to choose a part.",
      ),
    );
    return;
  }
  const kind = {
    operation: "Operation",
    fault: "Fault",
    moment: "Event",
    mark: "Run",
    opinion: "As others see it",
    health: "Service in the catalog",
    violation: "Violation",
  }[item.type];
  fill(
    "details",
    element("h2", {}, kind),
    element("h3", {}, item.type === "violation" ? item.property : itemTitle(item)),
    details(item),
    element(
      "div",
      { class: "near" },
      element(
        "button",
        { type: "button", title: "Previous on this lane (,)", onclick: () => stepItem(-1) },
        "‹ Before",
      ),
      element(
        "button",
        { type: "button", title: "Next on this lane (.)", onclick: () => stepItem(1) },
        "After ›",
      ),
      element("button", { type: "button", title: "Zoom to it (z)", onclick: zoomToSelection }, "Zoom to it"),
    ),
  );
}

function zoomToSelection() {
  const item = state.selected;
  if (!item) return;
  const width = Math.max(20e3, (item.end - item.at) * 4),
    centre = (item.at + item.end) / 2;
  setView(centre - width / 2, centre + width / 2);
}

/** Nodes × state at the cursor or the selection; a cell that differs from the majority is bold. */
function showCluster() {
  const at = inspected();
  const states = nodes.map((node) => ({ name: node.name, ...nodeAt(node, at), listed: listedAt(node, at) }));
  const columns = [
    ["state", "state"],
    ["term", "term"],
    ["commit", "commit"],
    ["applied", "applied"],
    ["leader", "sees leader"],
    nodes.some((node) => node.opinions.length) && ["listed", "is listed"],
  ].filter(Boolean);
  const numeric = new Set(["term", "commit", "applied"]);
  const odd = (name, value) => {
    const live = states.map((s) => s[name]).filter((v) => v !== null);
    return name !== "state" && name !== "listed" && value !== null && live.filter((v) => v === value).length * 2 < live.length;
  };
  const cell = (s, name) => {
    const value = s[name],
      shown =
        value === null
          ? "–"
          : name === "leader"
            ? value || "nobody"
            : typeof value === "number"
              ? grouped(value)
              : value;
    return element(
      "td",
      { class: [numeric.has(name) ? "number" : "", odd(name, value) ? "odd" : ""].join(" ").trim() || null },
      shown,
    );
  };
  fill(
    "cluster",
    element("h2", {}, `Cluster at ${seconds(at)}`),
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", {}, "node"),
          columns.map(([name, title]) =>
            element("th", { class: numeric.has(name) ? "number" : null }, title),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        states.map((s) =>
          element(
            "tr",
            {},
            element("td", {}, element("b", {}, s.name)),
            columns.map(([name]) => cell(s, name)),
          ),
        ),
      ),
    ),
    faultsAt(at).length
      ? element(
          "p",
          { class: "muted", style: "margin:8px 0 0" },
          `In force: ${faultsAt(at).map(faultText).join("; ")}`,
        )
      : null,
  );
}

function showProperties() {
  fill(
    "properties",
    element("h2", {}, "Properties"),
    page.properties.length
      ? element(
          "table",
          {},
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              element("th", {}, "property"),
              element("th", {}, "verdict"),
              element("th", { class: "number" }, "judged"),
            ),
          ),
          element(
            "tbody",
            {},
            page.properties.map((property) =>
              element(
                "tr",
                { title: property.promise },
                element(
                  "td",
                  {},
                  property.name,
                  property.because ? element("small", {}, property.because) : null,
                ),
                element("td", {}, word(property.verdict)),
                element("td", { class: "number" }, grouped(property.judged)),
              ),
            ),
          ),
        )
      : element("p", { class: "muted" }, "Nothing was judged."),
  );
}
