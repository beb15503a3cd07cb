// Writes in the visitor's own browser: the model runs in a worker beside the page. Has the same exports as the
// writer.js of the page that a server shows.

export const privacy = "The model runs in your own browser. What you write never leaves it. Your browser stores your stories on this machine.";

// The page removes spaces at the end of the story before this continues it.
export const healsPrompt = false;

// It writes no bridges to a following text.
export const hasBridges = false;

let own = {}; // the model's settings

const worker = new Worker("engine.js", { type: "module" });
let last = 0;

// Ask the worker; `on` is told each event. Resolves with the event that ends the answer.
function ask(message, on = () => {}) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    const hear = ({ data }) => {
      if (data.id !== id) return;
      if (data.type === "error" || data.type === "end") worker.removeEventListener("message", hear);
      if (data.type === "error") reject(new Error(data.message));
      else if (data.type === "end") resolve(data);
      else on(data);
    };
    worker.addEventListener("message", hear);
    worker.addEventListener("error", () => reject(new Error("The model could not be loaded. This browser may be too old for it.")), { once: true });
    worker.postMessage({ ...message, id });
  });
}

export async function connect(onProgress) {
  onProgress(0, "The page is loading.");
  const model = await (await fetch("model.json")).json();
  own = model.settings;
  navigator.serviceWorker?.register("offline.js").catch(() => {}); // without it the page works, but not offline
  await ask({ type: "load", engine: model.engine }, ({ share, text }) => onProgress(share, text));
  return model;
}

export async function write({ text, settings, seed, count, signal }, on) {
  const stop = () => worker.postMessage({ type: "stop" });
  signal.addEventListener("abort", stop);
  on.start();
  try {
    await ask({ type: "write", text, settings: { ...own, ...settings }, seed, count }, (event) => {
      if (signal.aborted) return;
      if (event.type === "piece") on.piece(event.index, event.text);
      else if (event.type === "done") on.done(event.index, event.reason);
    });
  } finally { signal.removeEventListener("abort", stop); }
  if (signal.aborted) throw new DOMException("stopped", "AbortError");
}

export async function copies() { return []; }

// The page offers no words in place of others.
export const words = null;

// There is no server to ask anything else.
export function post() { throw new Error("This page has no server."); }
export const answered = (request) => request;
