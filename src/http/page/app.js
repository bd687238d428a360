
// ---- Which page is shown ---------------------------------------------------------------------------------

const { path: BASE, datacenter: OWN_DATACENTER } = document.documentElement.dataset;

/** What the address says. */
let route = { datacenter: OWN_DATACENTER, names: [] };
/** What is shown. */
let current = null;

/** The address of a page of this datacenter. */
function address(...names) {
  return BASE + [route.datacenter, ...names].map(encodeURIComponent).join("/");
}

/** The page, and what lives as long as it does. */
function newView() {
  const end = new AbortController();
  return {
    signal: end.signal,
    problems: new Map(),
    end: () => end.abort(),
    show(title, ...children) {
      document.title = `${title} · Proconsul`;
      document.getElementById("main").replaceChildren(...children.filter(Boolean));
    },
  };
}

/** The names in the address, decoded; what cannot be decoded is taken as it stands. */
function namesIn(pathname) {
  const decoded = (name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  };
  return pathname.slice(BASE.length).split("/").map(decoded);
}

/** Keys: a folder has a slash at its end, "create" and "edit" stand behind what they are of. */
function openKv(view, names) {
  const path = names.join("/");
  if (path === "create" || path.endsWith("/create")) createView(view, path.slice(0, -"create".length));
  else if (path === "" || path.endsWith("/")) folderView(view, path);
  else keyView(view, path.replace(/\/edit$/, ""));
}

function openPage({ isFirst } = {}) {
  if (current) current.end();
  const view = newView();
  current = view;
  tell(view, "", null);
  const [datacenter, section, ...names] = namesIn(location.pathname);
  if (!datacenter || !section) {
    route = { datacenter: datacenter || OWN_DATACENTER, names: [] };
    history.replaceState(null, "", address("services"));
    openPage({ isFirst });
    return;
  }
  route = { datacenter, section };
  const [name, tab, node, id] = names;
  if (section === "services" && tab === "instances" && id) instanceView(view, name, node, id);
  else if (section === "services" && name) serviceView(view, name);
  else if (section === "services") servicesView(view);
  else if (section === "nodes" && name) nodeView(view, name);
  else if (section === "nodes") nodesView(view);
  else if (section === "kv") openKv(view, names);
  else {
    view.show("Not here", heading("There is no such page"),
      h("p", {}, "Go to the ", h("a", { href: address("services") }, "services"), "."));
  }
  drawNavigation();
  if (isFirst) return;
  scrollTo(0, 0);
  const head = document.querySelector("#main h1");
  if (head) head.focus({ preventScroll: true });
}

function go(href) {
  history.pushState(null, "", href);
  openPage();
}

function drawNavigation() {
  for (const link of document.querySelectorAll("header [data-to]")) {
    link.href = address(link.dataset.to);
    if (link.dataset.to === route.section && link.className !== "brand") link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.getElementById("datacenter").textContent = route.datacenter;
  const chosen = document.querySelector("#datacenters select");
  chosen.value = route.datacenter;
}

/** With more than one datacenter there is a choice. */
async function offerDatacenters() {
  let all;
  try {
    all = JSON.parse((await ask("GET", "catalog/datacenters")).text) || [];
  } catch {
    // The line of the page itself tells that the agent is away.
    return;
  }
  if (all.length < 2) return;
  const select = document.querySelector("#datacenters select");
  select.replaceChildren(...all.map((name) => h("option", { value: name }, name)));
  select.value = route.datacenter;
  select.addEventListener("change", () => {
    route = { ...route, datacenter: select.value };
    go(address(route.section));
  });
  document.getElementById("datacenters").hidden = false;
  document.getElementById("datacenter").hidden = true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || !to.pathname.startsWith(BASE) || to.hash) return;
  event.preventDefault();
  go(to.pathname + to.search);
});
addEventListener("popstate", () => openPage());
addEventListener("pagehide", () => { if (current) current.end(); });
addEventListener("pageshow", (event) => { if (event.persisted) openPage({ isFirst: true }); });
openPage({ isFirst: true });
offerDatacenters();
