
// ---- Talking with the agent ------------------------------------------------------------------------------

const WAIT_S = 55;
const RETRY_MAX_S = 30;
/** What has no index is asked for again after this. */
const POLL_MS = 5000;
/** However fast things change, they are not asked for more often than this. */
const PACE_MS = 400;

/** The agent answered, and not what was wished. */
class Refused extends Error {
  constructor(status, text) {
    super(text.trim() || `the agent answered with status ${status}`);
    this.status = status;
  }
}

/** What was asked for cannot be, whatever the agent thinks of it. */
class Mistake extends Error {}

/** The target with these parameters and the datacenter. */
function target(path, parameters) {
  const query = new URLSearchParams({ dc: route.datacenter, ...parameters });
  return `/v1/${path}?${query}`;
}

/** Names of a path, each escaped. */
const escaped = (name) => name.split("/").map(encodeURIComponent).join("/");

async function ask(method, path, { parameters = {}, body, signal } = {}) {
  const answer = await fetch(target(path, parameters), { method, body, signal, cache: "no-store" });
  const text = await answer.text();
  if (!answer.ok) {
    const refused = new Refused(answer.status, text);
    refused.index = Number(answer.headers.get("X-Consul-Index")) || 0;
    throw refused;
  }
  return { text, index: Number(answer.headers.get("X-Consul-Index")) || 0 };
}

/** Passes after so long, or when the signal says so. */
function pause(milliseconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}

/** Until somebody looks: a browser has few connections to one host, and tabs share them. */
function seen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look, { once: true });
  });
}

/** A signal for one question: of its view, of a hidden page, of an agent that went away without a word. */
function questionSignal(signal) {
  const hidden = new AbortController();
  const hide = () => document.hidden && hidden.abort();
  document.addEventListener("visibilitychange", hide);
  const late = AbortSignal.timeout((WAIT_S + 20) * 1000);
  return {
    signal: AbortSignal.any([signal, hidden.signal, late]),
    hidden: hidden.signal,
    end: () => document.removeEventListener("visibilitychange", hide),
  };
}

/**
 * Shows what is there now, and again whenever it changes: a blocking query after the other, for as long as
 * the view lasts. `missing` (optional) shows that there is nothing. Failures are told and tried again.
 */
async function watch(view, path, show, { parameters = {}, missing } = {}) {
  let index = 0;
  let failures = 0;
  let shown;
  while (!view.signal.aborted) {
    await seen(view.signal);
    if (view.signal.aborted) return;
    const began = performance.now();
    const question = questionSignal(view.signal);
    let rest = PACE_MS;
    try {
      const blocking = index > 0 ? { index, wait: `${WAIT_S}s` } : {};
      const signal = question.signal;
      const answer = await ask("GET", path, { parameters: { ...parameters, ...blocking }, signal })
        .catch((error) => {
          if (missing && error.status === 404) return { text: null, index: error.index };
          throw error;
        });
      if (view.signal.aborted) return;
      tell(view, path, null);
      failures = 0;
      if (answer.text !== shown) {
        if (answer.text === null) missing();
        else show(JSON.parse(answer.text), answer.text);
        shown = answer.text;
      }
      // An index that goes back is of another life of the servers: begin anew.
      if (!answer.index) rest = POLL_MS;
      index = answer.index < index ? 0 : answer.index;
    } catch (error) {
      if (view.signal.aborted) return;
      if (question.hidden.aborted) continue;
      console.error(path, error);
      failures += 1;
      index = 0;
      rest = Math.min(2 ** (failures - 1), RETRY_MAX_S) * 1000;
      tell(view, path, `${reason(error)} Trying again in ${rest / 1000} s.`);
    } finally {
      question.end();
    }
    await pause(Math.max(rest - (failures ? 0 : performance.now() - began), 0), view.signal);
  }
}

function reason(error) {
  if (error instanceof Mistake) return error.message;
  if (error instanceof Refused) return `The agent refuses: ${error.message.replace(/\.?$/, ".")}`;
  if (error instanceof SyntaxError) return "The agent's answer cannot be read.";
  return "The agent cannot be reached.";
}

/** Says what is wrong, in the line below the head; null: nothing any more. */
function tell(view, about, text) {
  if (text) view.problems.set(about, text);
  else view.problems.delete(about);
  const line = document.getElementById("problem");
  const [first] = view.problems.values();
  line.textContent = first || "";
  line.hidden = !first;
}

/** Does what a button is for; while it does the button is off, and a failure is told at `note`. */
async function act(button, note, work) {
  button.disabled = true;
  note.hidden = true;
  try {
    await work();
  } catch (error) {
    note.textContent = reason(error);
    note.hidden = false;
  } finally {
    button.disabled = false;
  }
}

const noteLine = () => h("p", { class: "note bad", role: "alert", hidden: true });
