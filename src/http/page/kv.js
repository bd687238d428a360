
// ---- Keys and values -------------------------------------------------------------------------------------

/** The folder that a key or a folder is in: "" for the root, else with a slash at its end. */
const parentOf = (key) => key.replace(/[^/]*\/?$/, "");
const lastNameOf = (key) => key.slice(parentOf(key).length);
const folderAddress = (folder) => address("kv") + (folder ? `/${escaped(folder)}` : "");
const keyAddress = (key) => `${address("kv")}/${escaped(key)}/edit`;

/** The folders above, from the root. */
function kvCrumbs(folder) {
  const names = folder.split("/").slice(0, -1);
  const step = (name, at) => [name, folderAddress(`${names.slice(0, at + 1).join("/")}/`)];
  return crumbs(["Key/Value", folderAddress("")], ...names.map(step));
}

function folderView(view, folder) {
  const list = filteredList({
    noun: "key",
    hint: "name",
    of: (key) => ({ key, texts: [key.slice(folder.length)], status: "none" }),
    row: (key) => h("div", { class: "row" }, h("span", { class: "name" }, key.endsWith("/")
      ? h("a", { class: "folder", href: folderAddress(key) }, key.slice(folder.length))
      : h("a", { href: keyAddress(key) }, key.slice(folder.length)))),
  });
  const note = noteLine();
  const remove = async (event) => {
    const button = event.currentTarget;
    if (!await isMeant(`Delete the folder ${folder} and all keys in it?`, "Delete")) return;
    await act(button, note, async () => {
      await ask("DELETE", `kv/${escaped(folder)}`, { parameters: { recurse: "" } });
      go(folderAddress(parentOf(folder)));
    });
  };
  const createAt = `${folderAddress(folder).replace(/\/$/, "")}/create`;
  view.show(folder || "Key/Value", folder && kvCrumbs(parentOf(folder)),
    heading(folder ? lastNameOf(folder) : "Key/Value"),
    h("div", { class: "buttons" }, h("a", { class: "button", href: createAt }, "Create"),
      folder && h("button", { type: "button", class: "danger", onclick: remove }, "Delete folder")),
    note, list.element);
  // The folder's own key is no key in it.
  watch(view, `kv/${escaped(folder)}`, (keys) => list.show(keys.filter((key) => key !== folder)),
    { parameters: { keys: "", separator: "/" }, missing: () => list.show([]) });
}

/** Why there can be no such key; null: there can. */
function whyNoKey(key) {
  const names = key.replace(/\/$/, "").split("/");
  if (names.some((name) => name === "" || name === "." || name === "..")) {
    return "A key has a name between any two slashes, and none of the names is . or ..";
  }
  return null;
}

function createView(view, folder) {
  const name = h("input", { name: "key", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "key-help" });
  const value = h("textarea", { name: "value", spellcheck: "false" });
  const note = noteLine();
  const save = h("button", { class: "main" }, "Save");
  name.addEventListener("input", () => { value.disabled = name.value.endsWith("/"); });
  const submit = (event) => {
    event.preventDefault();
    act(save, note, async () => {
      const key = folder + name.value;
      const why = whyNoKey(key);
      if (why) throw new Mistake(why);
      const isFolder = key.endsWith("/");
      const { text } = await ask("PUT", `kv/${escaped(key)}`, { parameters: { cas: 0 }, body: isFolder ? "" : value.value });
      if (text.trim() !== "true") throw new Mistake(`${key} is there already.`);
      go(folderAddress(isFolder ? key : folder));
    });
  };
  view.show("Create", kvCrumbs(folder), heading("Create a key"),
    h("form", { onsubmit: submit },
      h("label", { class: "field" }, h("span", {}, folder ? `Key, in ${folder}` : "Key"), name),
      h("p", { class: "faint", id: "key-help" }, "With a slash at its end it is a folder."),
      h("label", { class: "field" }, h("span", {}, "Value"), value),
      note,
      h("div", { class: "buttons" }, save, h("a", { class: "faint", href: folderAddress(folder) }, "Cancel"))));
}

/** Bytes of base64; null is nothing. */
const bytesOf = (base64) => Uint8Array.from(atob(base64 || ""), (char) => char.charCodeAt(0));

/**
 * A value as a box for text can hold it: { text, crlf }; null when it is no text, or one whose line ends
 * the box would change.
 */
function textOf(bytes) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) return null;
  if (!text.includes("\r")) return { text, crlf: false };
  const lines = text.replaceAll("\r\n", "");
  return /[\r\n]/.test(lines) ? null : { text: text.replaceAll("\r\n", "\n"), crlf: true };
}

/** The first bytes, sixteen a line. */
function hexOf(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, 512); at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const shown = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${shown}`);
  }
  return lines.join("\n") + (bytes.length > 512 ? "\n…" : "");
}

function keyView(view, key) {
  const body = h("div", {});
  const lock = h("div", {});
  view.show(key, kvCrumbs(parentOf(key)), heading(lastNameOf(key)), body, lock);
  let editor = null;
  let session = null;
  watch(view, `kv/${escaped(key)}`, ([row], json) => {
    // Flags may be larger than what a number holds exactly here; as text they are whole.
    const flags = (/"Flags":\s*(\d+)/.exec(json) || [])[1] || "0";
    if (editor && editor.isOf(row)) editor.take(row, flags);
    else {
      editor = keyEditor(key, row, flags);
      refill(body, editor.element);
    }
    if (row.Session === session) return;
    session = row.Session;
    showLock(view, lock, session);
  }, { missing: () => {
    editor = null;
    session = null;
    refill(lock);
    refill(body, h("p", { class: "empty" }, "There is no such key."),
      h("p", {}, h("a", { class: "button", href: `${folderAddress(parentOf(key)).replace(/\/$/, "")}/create` }, "Create")));
  } });
}

/** The session that holds the key. */
async function showLock(view, element, id) {
  refill(element);
  if (!id) return;
  const note = noteLine();
  let rows = [];
  try {
    rows = JSON.parse((await ask("GET", `session/info/${escaped(id)}`, { signal: view.signal })).text) || [];
  } catch (error) {
    if (view.signal.aborted) return;
    note.textContent = reason(error);
    note.hidden = false;
  }
  refill(element, h("h2", {}, "Lock session"), note,
    rows.length === 0 ? h("p", { class: "mono" }, id)
      : rows.map((it) => [sessionRow(it, note), h("p", {}, "Of the node ", h("a", { href: address("nodes", it.Node) }, it.Node))]));
}

/** The form of one key. It knows which state of the key it was made of, and overwrites no other. */
function keyEditor(key, row, flags) {
  const note = noteLine();
  const changed = h("div", { class: "note", role: "status", hidden: true });
  const facts = h("p", { class: "faint" });
  const box = h("textarea", { name: "value", spellcheck: "false", "aria-label": "Value" });
  const binary = h("div", {});
  const save = h("button", { class: "main" }, "Save");
  const remove = h("button", { type: "button", class: "danger" }, "Delete");
  let now;
  let text;

  function load(next, nextFlags) {
    now = { ...next, flags: nextFlags };
    const bytes = bytesOf(next.Value);
    text = textOf(bytes);
    changed.hidden = true;
    box.hidden = save.hidden = !text;
    binary.hidden = Boolean(text);
    box.value = text ? text.text : "";
    refill(binary, !text && [h("p", { class: "note" }, `The value is binary, ${counted(bytes.length, "byte")}: it is shown and not edited.`), h("pre", {}, hexOf(bytes))]);
    facts.textContent = `${counted(bytes.length, "byte")}; flags ${nextFlags}; index ${next.ModifyIndex}`
      + (next.LockIndex ? `; locked ${counted(next.LockIndex, "time")}` : "");
  }
  const isEdited = () => Boolean(text) && box.value !== text.text;

  save.addEventListener("click", (event) => {
    event.preventDefault();
    act(save, note, async () => {
      const body = text.crlf ? box.value.replaceAll("\n", "\r\n") : box.value;
      const parameters = { cas: now.ModifyIndex, flags: now.flags };
      const { text: done } = await ask("PUT", `kv/${escaped(key)}`, { parameters, body });
      if (done.trim() !== "true") throw new Mistake("Somebody else has changed the key meanwhile.");
      text = { ...text, text: box.value };
      facts.textContent = "Saved.";
    });
  });
  remove.addEventListener("click", async () => {
    if (!await isMeant(`Delete the key ${key}?`, "Delete")) return;
    await act(remove, note, async () => {
      await ask("DELETE", `kv/${escaped(key)}`);
      go(folderAddress(parentOf(key)));
    });
  });
  load(row, flags);
  return {
    element: h("form", { onsubmit: (event) => event.preventDefault() },
      changed, box, binary, facts, note,
      h("div", { class: "buttons" }, save, remove, h("a", { class: "faint", href: folderAddress(parentOf(key)) }, "Cancel"))),
    isOf: (next) => next.Key === now.Key,
    take(next, nextFlags) {
      if (!isEdited()) {
        load(next, nextFlags);
        return;
      }
      // Locked, released, or what was just saved.
      const given = textOf(bytesOf(next.Value));
      if (given && given.text === text.text) {
        now = { ...next, flags: nextFlags };
        return;
      }
      const other = h("button", { type: "button", class: "small", onclick: () => load(next, nextFlags) }, "Load it");
      refill(changed, "The value has changed since you began to edit. ", other);
      changed.hidden = false;
    },
  };
}
