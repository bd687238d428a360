
// ---- Building the page ---------------------------------------------------------------------------------
// Whatever users have written comes in as text nodes and attributes, never as markup.

/** An element; attributes that begin with "on" are listeners, children may be texts, lists and nothing. */
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts other children into an element; focus and opened details stay where they were. */
function refill(element, ...children) {
  const keyOf = (it) => it && element.contains(it) && (it.dataset.key || it.getAttribute("href"));
  const focused = keyOf(document.activeElement);
  const opened = new Map([...element.querySelectorAll("details[data-key]")].map((it) => [it.dataset.key, it.open]));
  element.replaceChildren(...children.flat(3).filter(Boolean));
  for (const it of element.querySelectorAll("details[data-key]")) {
    if (opened.has(it.dataset.key)) it.open = opened.get(it.dataset.key);
  }
  if (!focused) return;
  const again = [...element.querySelectorAll("a, button, summary")].find((it) => keyOf(it) === focused);
  if (again) again.focus({ preventScroll: true });
}

/** "1 instance", "2 instances". */
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

const STATUSES = ["critical", "warning", "passing"];

/** The worst of these counts by status; "none" when nothing is checked. */
const worst = (counts) => STATUSES.find((status) => counts[status] > 0) || "none";

/** How many checks there are of each status. */
function countsOf(checks) {
  const counts = { passing: 0, warning: 0, critical: 0 };
  for (const check of checks || []) {
    if (check.Status in counts) counts[check.Status] += 1;
  }
  return counts;
}

function dot(status) {
  return h("span", { class: `dot ${status}`, title: status === "none" ? "no checks" : status, "aria-hidden": "true" });
}

/** What is to be said of these checks, in colours and in words. */
function health(counts) {
  const parts = STATUSES.filter((status) => counts[status] > 0).reverse();
  if (!parts.length) return h("span", { class: "side" }, "no checks");
  return parts.map((status) => h("span", { class: `status ${status}` }, `${counts[status]} ${status}`));
}

const tags = (list) => (list || []).map((tag) => h("span", { class: "tag" }, tag));

/** Names and values. */
function pairs(object) {
  const entries = Object.entries(object || {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!entries.length) return h("p", { class: "faint" }, "None.");
  return h("dl", { class: "pairs" }, entries.map(([key, value]) => [h("dt", {}, key), h("dd", {}, String(value))]));
}

/** Checks with what they said last. */
function checkList(checks) {
  const order = (check) => `${STATUSES.indexOf(check.Status)} ${check.CheckID}`;
  const sorted = [...(checks || [])].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  if (!sorted.length) return h("p", { class: "faint" }, "No checks.");
  return h("ul", { class: "checks" }, sorted.map((check) => h("li", {},
    h("div", { class: "row" },
      h("span", {}, dot(check.Status), h("strong", {}, check.Name || check.CheckID)),
      h("span", { class: `status ${check.Status}` }, check.Status),
      h("span", { class: "side" }, h("code", {}, check.CheckID), check.Type ? ` ${check.Type}` : ""),
      check.ServiceName && h("span", { class: "side" }, `of ${check.ServiceName}`)),
    check.Notes && h("p", { class: "faint" }, check.Notes),
    check.Output && h("pre", {}, check.Output))));
}

/** The way to here: pairs of a text and an address. */
function crumbs(...steps) {
  return h("nav", { class: "crumbs", "aria-label": "Breadcrumb" },
    h("ol", {}, steps.map(([text, href]) => h("li", {}, h("a", { href }, text)))));
}

/** A head line that takes the focus when its page is opened. */
const heading = (...children) => h("h1", { tabindex: "-1" }, ...children);

/** Asks before something cannot be undone. */
function isMeant(text, verb) {
  const dialog = document.getElementById("question");
  document.getElementById("asked").textContent = text;
  dialog.querySelector("button[value=yes]").textContent = verb;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

// ---- Lists that can be filtered --------------------------------------------------------------------------

/** More rows than this are not drawn: the filter finds the others. */
const ROWS = 500;

/**
 * A list with a box that filters it. `of(item)` says what an item is found by and how it is:
 * { key, texts, status }; `row(item)` shows it; `hint` names the texts. The filters are in the address, so that it can be passed on.
 */
function filteredList({ noun, hint, of, row, byStatus }) {
  const asked = new URLSearchParams(location.search);
  const box = h("input", { type: "search", value: asked.get("filter") || "", placeholder: hint, oninput: draw });
  const option = (value, text) => h("option", { value, selected: asked.get("status") === value }, text);
  const status = h("select", { onchange: draw }, option("", "all"), STATUSES.map((it) => option(it, it)));
  const sort = h("select", { onchange: draw }, h("option", { value: "name" }, "name"),
    h("option", { value: "health", selected: asked.get("sort") === "health" }, "failing first"));
  const count = h("span", { class: "count", role: "status" });
  const list = h("ul", { class: "list" }, h("li", { class: "empty" }, "Loading …"));
  const more = h("p", { class: "faint" });
  let items = null;
  function draw() {
    if (!items) return;
    const said = { filter: box.value.trim(), status: status.value, sort: sort.value === "name" ? "" : sort.value };
    remember(said);
    const words = said.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const all = items.map((item) => ({ item, ...of(item) }));
    const fits = (it) => (!said.status || it.status === said.status)
      && words.every((word) => it.texts.some((text) => text.toLowerCase().includes(word)));
    const found = all.filter(fits);
    const rank = (it) => [...STATUSES, "none"].indexOf(it.status);
    found.sort((a, b) => (said.sort && rank(a) - rank(b)) || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const isWhole = found.length === all.length;
    count.textContent = isWhole ? counted(all.length, noun) : `${found.length} of ${counted(all.length, noun)}`;
    const rows = found.slice(0, ROWS).map(({ item }) => h("li", {}, row(item)));
    refill(list, rows.length ? rows : h("li", { class: "empty" }, all.length ? "Nothing fits the filter." : `There is no ${noun} yet.`));
    more.textContent = found.length > ROWS ? `${found.length - ROWS} more: narrow the filter to see them.` : "";
  }
  return {
    element: h("div", {},
      h("div", { class: "tools", role: "search" },
        h("label", { class: "grows" }, "Filter", box),
        byStatus && h("label", {}, "Status", status),
        byStatus && h("label", {}, "Order", sort),
        count),
      list, more),
    show(next) { items = next; draw(); },
  };
}

/** Keeps what is said in the address, without another step in the history. */
function remember(said) {
  const query = new URLSearchParams(Object.entries(said).filter(([, value]) => value));
  const next = location.pathname + (query.size ? `?${query}` : "");
  if (next !== location.pathname + location.search) history.replaceState(null, "", next);
}
