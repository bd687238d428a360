
// ---- Services --------------------------------------------------------------------------------------------

function servicesView(view) {
  const countsIn = (it) => ({ passing: it.ChecksPassing, warning: it.ChecksWarning, critical: it.ChecksCritical });
  const list = filteredList({
    noun: "service",
    hint: "name or tag",
    byStatus: true,
    of: (it) => ({ key: it.Name, texts: [it.Name, ...(it.Tags || [])], status: worst(countsIn(it)) }),
    row: (it) => h("div", { class: "row" },
      h("span", { class: "name" }, dot(worst(countsIn(it))),
        h("a", { href: address("services", it.Name) }, it.Name)),
      health(countsIn(it)),
      h("span", { class: "side" }, counted(it.InstanceCount, "instance")),
      it.Tags && h("span", { class: "side" }, tags(it.Tags))),
  });
  view.show("Services", heading("Services"), list.element);
  watch(view, "internal/ui/services", (rows) => list.show(rows || []));
}

/** "10.0.0.1:80", "[fd00::1]:80"; a service without an address has its node's. */
function reachedAt(entry) {
  const host = entry.Service.Address || entry.Node.Address;
  const port = entry.Service.Port;
  return port ? `${host.includes(":") ? `[${host}]` : host}:${port}` : host;
}

function instanceRow(entry) {
  const { Node: node, Service: service, Checks: checks } = entry;
  const of = (isOwn) => (checks || []).filter((check) => Boolean(check.ServiceID) === isOwn);
  const key = `${node.Node}/${service.ID}`;
  return h("div", {},
    h("div", { class: "row" },
      h("span", { class: "name" }, dot(worst(countsOf(checks))),
        h("a", { href: address("services", service.Service, "instances", node.Node, service.ID) }, service.ID)),
      health(countsOf(checks)),
      h("span", { class: "side" }, "on ", h("a", { href: address("nodes", node.Node) }, node.Node)),
      h("span", { class: "side mono" }, reachedAt(entry)),
      service.Tags && service.Tags.length > 0 && h("span", { class: "side" }, tags(service.Tags))),
    h("details", { "data-key": `checks ${key}` },
      h("summary", { "data-key": `summary ${key}` }, counted((checks || []).length, "check")),
      h("h3", {}, "Of the service"), checkList(of(true)),
      h("h3", {}, "Of the node"), checkList(of(false))));
}

function serviceView(view, name) {
  const list = filteredList({
    noun: "instance",
    hint: "name, node, address or tag",
    byStatus: true,
    of: (it) => ({
      key: `${it.Node.Node} ${it.Service.ID}`,
      texts: [it.Service.ID, it.Node.Node, reachedAt(it), ...(it.Service.Tags || [])],
      status: worst(countsOf(it.Checks)),
    }),
    row: instanceRow,
  });
  view.show(name, crumbs(["Services", address("services")]), heading(name), list.element);
  watch(view, `health/service/${escaped(name)}`, (rows) => list.show(rows || []));
}

/** One instance with all that is known of it. */
function instanceView(view, name, node, id) {
  const body = h("div", {});
  view.show(id, crumbs(["Services", address("services")], [name, address("services", name)]), heading(id), body);
  watch(view, `health/service/${escaped(name)}`, (rows) => {
    const entry = (rows || []).find((it) => it.Node.Node === node && it.Service.ID === id);
    if (!entry) {
      refill(body, h("p", { class: "empty" }, `There is no such instance on ${node}.`));
      return;
    }
    const { Service: service, Checks: checks } = entry;
    const tagged = Object.entries(service.TaggedAddresses || {})
      .map(([key, it]) => [key, it.Address.includes(":") ? `[${it.Address}]:${it.Port}` : `${it.Address}:${it.Port}`]);
    refill(body,
      h("dl", { class: "pairs" },
        h("dt", {}, "Address"), h("dd", { class: "mono" }, reachedAt(entry)),
        h("dt", {}, "Node"), h("dd", {}, h("a", { href: address("nodes", node) }, node)),
        service.Tags && service.Tags.length > 0 && [h("dt", {}, "Tags"), h("dd", {}, tags(service.Tags))]),
      h("h2", {}, "Service checks"), checkList((checks || []).filter((it) => it.ServiceID)),
      h("h2", {}, "Node checks"), checkList((checks || []).filter((it) => !it.ServiceID)),
      h("h2", {}, "Tagged addresses"), pairs(Object.fromEntries(tagged)),
      h("h2", {}, "Metadata"), pairs(service.Meta));
  });
}
