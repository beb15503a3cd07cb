// The page of one project: asks the server for its state, and draws the steps.

import { get, post, projectPath } from "./calls.js";
import { element } from "./element.js";
import { STEPS } from "./steps.js";

const QUICK = 1000, SLOW = 4000; // ms between two looks
const OPEN_AT = {
  empty: ["stories"], unread: ["stories"], reading: ["stories"], ready: ["stories", "cleaning", "model"], queued: ["training"], working: ["training"],
  stopped: ["training"], failed: ["training"], done: ["result", "writing", "share"],
};
const KEPT_MESSAGES = 60;
const FEW_REMOVALS = 6, MORE_REMOVALS = 40;

// `removeProject(name, text, next)` removes one and shows another.
export function openProject(view, name, removeProject) {
  const page = new ProjectPage(view, name);
  page.removeProject = removeProject;
  page.start();
  return () => page.stop();
}

class ProjectPage {
  data = null;
  removals = null;
  bases = null;
  question = null; // where stories begin, when the person has to say
  prediction = null;
  busy = ""; // what the page waits for: "reading", "predicting"
  problem = "";
  asked = ""; // "stop" or "finish", until that has happened
  isLost = false; // the studio did not answer
  progress = null; // the last event with figures
  messages = [];
  publishing = {}; // what was typed into its forms, by field; the account, when it is to be confirmed
  samples = []; // {step, text}: what the model wrote at each validation
  numRemovals = FEW_REMOVALS; // that are shown
  #view;
  #sections = new Map();
  #offset = 0;
  #timer = 0;
  #isOpen = true;
  #phase = "";

  constructor(view, name) {
    this.#view = view;
    this.name = name;
  }

  get isReading() { return this.busy === "reading" || this.data.phase === "reading"; }

  path(rest) { return projectPath(this.name, rest); }
  file(name) { return `files/${encodeURIComponent(this.name)}/${name}`; }

  async start() {
    document.title = `${this.name} · fabula studio`;
    const steps = STEPS.map(({ id, title }, index) => {
      const short = element("span", { className: "quiet short" });
      const body = element("div", { className: "body" });
      const section = element("details", { id, className: "step" },
        element("summary", {}, element("span", { className: "number", textContent: index + 1 }), element("h2", { textContent: title }), short), body);
      this.#sections.set(id, { section, short, body, key: null });
      return section;
    });
    this.alert = element("p", { className: "problem", role: "alert", hidden: true });
    this.#view.replaceChildren(element("p", { className: "back" }, element("a", { href: "#/", textContent: "All projects" })),
      element("h2", { className: "project-name", textContent: this.name }), this.alert, ...steps,
      element("p", { className: "remove" }, element("button", { className: "small", id: "remove", textContent: "Remove this project", onclick: () => this.remove(`“${this.name}” is removed.`) })));
    try { this.bases = await get("api/bases"); } catch { /* shown below */ }
    await this.look();
    if (this.data?.phase === "unread") this.read({});
  }

  stop() {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  // Ask for the state of the project, draw it, and repeat.
  async look() {
    clearTimeout(this.#timer);
    try {
      const [data, { events, next }] = await Promise.all([get(this.path("")), get(this.path(`/events?from=${this.#offset}`))]);
      if (!this.#isOpen) return;
      const before = this.data?.phase;
      if (this.isLost) Object.assign(this, { isLost: false, problem: "" });
      if (before && before !== "reading" && before !== data.phase) Object.assign(this, { problem: "", asked: "" });
      this.data = data;
      // The page was loaded while files were being read, so it must ask where stories begin.
      if (before === "reading" && data.phase === "unread" && !this.busy) return this.read(data.reading);
      this.#offset = next;
      events.forEach((event) => this.#take(event));
      if (data.summary && !this.removals) await this.loadRemovals();
      this.draw();
    } catch (error) {
      this.isLost = true;
      this.say(error.message);
    }
    if (!this.#isOpen) return;
    const isQuick = this.busy || ["reading", "working", "queued"].includes(this.data?.phase) || Object.values(this.data?.work ?? {}).some((work) => work.is_working || work.is_waiting);
    this.#timer = setTimeout(() => this.look(), isQuick ? QUICK : SLOW);
  }

  #take(event) {
    if (this.asked === "finish" && event.stage !== "train") this.asked = "";
    if (event.outcome) this.progress = null;
    else if (event.total || event.done) this.progress = event;
    const sample = event.message.match(/^step ([\d,]+) writes: ([^]*)$/);
    if (sample) {
      const step = Number(sample[1].replaceAll(",", ""));
      this.samples = [{ step, text: sample[2] }, ...this.samples.filter((other) => other.step !== step)];
    } else if (event.message) this.messages = [...this.messages, { stage: event.stage, text: event.message }].slice(-KEPT_MESSAGES);
  }

  draw() {
    if (!this.data) return;
    if (this.#phase !== this.data.phase) {
      const open = OPEN_AT[this.data.phase];
      for (const [id, { section }] of this.#sections) section.open = open.includes(id);
      this.#phase = this.data.phase;
    }
    for (const step of STEPS) {
      const { section, short, body, key } = this.#sections.get(step.id);
      const waits = step.waits(this);
      const now = JSON.stringify([waits, waits || step.short(this), step.key(this)]);
      if (now === key) continue;
      this.#sections.get(step.id).key = now;
      section.classList.toggle("later", Boolean(waits));
      section.classList.toggle("ready", !waits && step.isDone(this));
      short.textContent = waits ? "" : step.short(this);
      const focused = body.contains(document.activeElement) ? document.activeElement.id : "";
      const opened = [...body.querySelectorAll("details[open]")].map(({ id }) => id);
      body.replaceChildren(...[waits ? element("p", { className: "quiet", textContent: waits }) : step.draw(this)].flat().filter(Boolean));
      for (const id of opened) if (id && body.querySelector(`#${id}`)) body.querySelector(`#${id}`).open = true;
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
    const problem = this.problem || (this.data.phase !== "working" && this.data.phase !== "queued" ? this.data.error : "");
    this.alert.textContent = problem;
    this.alert.hidden = !problem;
  }

  say(text) {
    this.problem = text;
    if (this.data) this.draw();
    else { this.alert.textContent = text; this.alert.hidden = !text; }
  }

  // Do something that calls the server; a problem is shown.
  async act(work) {
    this.problem = "";
    try { await work(); } catch (error) { this.problem = error.message; }
    await this.look();
  }

  // Ask the run to "stop" or to "finish" its training; both take a while.
  ask(what) {
    return this.act(async () => {
      await post(this.path(`/${what}`));
      this.asked = what;
    });
  }

  async read(reading) {
    Object.assign(this, { busy: "reading", question: null, problem: "" });
    this.look();
    try {
      const { question } = await post(this.path("/read"), reading);
      this.question = question ?? null;
      this.removals = null;
    } catch (error) { this.problem = error.message; }
    this.busy = "";
    await this.look();
  }

  async moreRemovals() {
    this.numRemovals += MORE_REMOVALS;
    while (this.removals.rows.length < Math.min(this.numRemovals, this.removals.num_rows)) await this.loadRemovals(this.removals.rows.length);
    this.draw();
  }

  async loadRemovals(offset = 0) {
    const found = await get(this.path(`/removals?offset=${offset}`));
    this.removals = offset ? { ...found, rows: [...this.removals.rows, ...found.rows] } : found;
    this.draw();
  }

  decide(row, decision) {
    return this.act(async () => {
      await post(this.path("/decisions"), { ...row, why: undefined, decision });
      for (const each of this.removals.rows) // they may have been asked for again meanwhile
        if (each.story === row.story && each.start === row.start && each.end === row.end) each.decision = decision;
    });
  }

  // Remove the project; a problem is shown.
  async remove(text, next) {
    try { await this.removeProject(this.name, text, next); } catch (error) { this.say(error.message); }
  }

  async predict(wanted) {
    Object.assign(this, { busy: "predicting", prediction: null, problem: "" });
    this.draw();
    try { this.prediction = { ...await post(this.path("/predict"), wanted), base: wanted.base }; } catch (error) { this.problem = error.message; }
    this.busy = "";
    this.draw();
  }
}
