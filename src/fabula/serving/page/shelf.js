// The shelf: stories in the browser's own database. A story is written in one tab at a time; the others read it.

const NAME = "fabula";
const DRAFT = "fabula.draft."; // and a story's id: its last words before the page was left, which the database could not take any more
const CURRENT = "fabula.current";
const ANSWER_MS = 200, GIVE_UP_MS = 1500; // that another tab has to answer, and to save

const tab = crypto.getRandomValues(new Uint32Array(2)).join("-");

// Two stores, so that listing hundreds of stories does not read their texts: `shelf` with {id, name, words, changed}, and
// `stories` with the complete stories.
export class Shelf {
  #db = null;
  #channel = null;
  #held = null; // id of the story that this tab writes
  #onTaken;
  #giveUp;

  // `giveUp()` is called when another tab takes the story over: it saves, and the tab only reads from then on; then `onTaken()`.
  constructor({ giveUp, onTaken }) {
    this.#giveUp = giveUp;
    this.#onTaken = onTaken;
  }

  get isKept() { return this.#db !== null; }

  async open() {
    try {
      this.#db = await new Promise((resolve, reject) => {
        const request = indexedDB.open(NAME, 1);
        request.onupgradeneeded = () => {
          request.result.createObjectStore("shelf", { keyPath: "id" });
          request.result.createObjectStore("stories", { keyPath: "id" });
        };
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    } catch { this.#db = null; } // a browser that stores nothing
    if (!("BroadcastChannel" in window)) return;
    this.#channel = new BroadcastChannel(NAME);
    this.#channel.addEventListener("message", async ({ data }) => {
      if (data.id !== this.#held || data.from === tab) return;
      if (data.type === "who") this.#channel.postMessage({ type: "mine", id: data.id, from: tab });
      if (data.type === "take") {
        await this.#giveUp();
        this.#held = null;
        this.#channel.postMessage({ type: "given", id: data.id, from: tab });
        this.#onTaken();
      }
    });
  }

  // All stories without their texts, the most recently changed first.
  async list() {
    const rows = this.#db ? await this.#ask("shelf", "readonly", (store) => store.getAll()) : [];
    return rows.sort((one, other) => other.changed - one.changed);
  }

  async read(id) {
    const found = this.#db ? await this.#ask("stories", "readonly", (store) => store.get(id)) : null;
    const draft = readLocal(DRAFT + id);
    if (!draft || draft.version !== (found?.version ?? 0)) return found ?? null;
    return { ...draft, ...found, draft };
  }

  // Save a story, unless another tab has saved it since it was read. Returns the new version, or null.
  async write(record) {
    if (!this.#db) return record.version;
    const version = record.version + 1;
    const entry = { id: record.id, name: record.name, words: record.words, beginning: record.text.trim().slice(0, 80), changed: Date.now() };
    return await new Promise((resolve, reject) => {
      const change = this.#db.transaction(["shelf", "stories"], "readwrite");
      let result = version;
      const before = change.objectStore("stories").get(record.id);
      before.onsuccess = () => {
        if (before.result && before.result.version !== record.version) { result = null; return; }
        change.objectStore("stories").put({ ...record, version });
        change.objectStore("shelf").put(entry);
      };
      change.oncomplete = () => {
        if (result !== null) forgetLocal(DRAFT + record.id);
        resolve(result);
      };
      change.onerror = change.onabort = () => reject(new Error("The browser cannot store the story because its storage is full or not available. Save the story as a file."));
    });
  }

  async remove(id) {
    await Promise.all(["shelf", "stories"].map((name) => this.#ask(name, "readwrite", (store) => store.delete(id))));
  }

  // Whether this tab may write a story. With `take`, another tab that writes it is asked to give it up.
  async hold(id, { take = false } = {}) {
    this.#held = null;
    if (this.#channel) {
      const answer = await this.#answer({ type: take ? "take" : "who", id, from: tab }, take ? "given" : "mine");
      if (answer && !take) return false;
    }
    this.#held = id;
    return true;
  }

  // Save the last words immediately while the page closes.
  leave(record) {
    const { past, future, ...text } = record;
    if (!writeLocal(DRAFT + record.id, record)) writeLocal(DRAFT + record.id, text); // without undo, if there is little space
  }

  get current() { return readLocal(CURRENT); }
  set current(id) { writeLocal(CURRENT, id); }

  #answer(message, type) {
    return new Promise((resolve) => {
      const hear = ({ data }) => { if (data.type === type && data.id === message.id && data.from !== tab) finish(true); };
      const finish = (found) => { clearTimeout(timer); this.#channel.removeEventListener("message", hear); resolve(found); };
      const timer = setTimeout(() => finish(false), message.type === "take" ? GIVE_UP_MS : ANSWER_MS);
      this.#channel.addEventListener("message", hear);
      this.#channel.postMessage(message);
    });
  }

  #ask(name, mode, work) {
    return new Promise((resolve, reject) => {
      const request = work(this.#db.transaction(name, mode).objectStore(name));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error("The browser cannot read its stored stories."));
    });
  }
}

export const newId = () => crypto.getRandomValues(new Uint32Array(3)).join("-");

function readLocal(name) {
  try { return JSON.parse(localStorage.getItem(name)); } catch { return null; }
}

function forgetLocal(name) {
  try { localStorage.removeItem(name); } catch { /* then nothing is stored */ }
}

// Whether the browser stored it: it may store nothing, or its storage may be full.
function writeLocal(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch { return false; }
}
