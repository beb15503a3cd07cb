// The story: its text, the passages in it that the model wrote, and undo and redo. Independent of the page.

const MOST_STEPS = 200;
const PAUSE = 1000; // ms without typing after which an edit is a new step

export class Story {
  text = "";
  passages = []; // {start, end}: what the model wrote, in order; end is exclusive
  #past = [];
  #future = [];
  #typedAt = -Infinity;
  #keepsSpaces;

  // `keepsSpaces`: the model continues a text that ends in spaces; otherwise it writes its own, and those are removed.
  constructor({ keepsSpaces = true } = {}) { this.#keepsSpaces = keepsSpaces; }

  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  // The passage at the end of the story, if the model wrote it.
  get last() {
    const last = this.passages.at(-1);
    return last && last.end === this.text.length && last.start < last.end ? last : null;
  }

  get numWords() { return this.text.split(/\s+/).filter(Boolean).length; }

  // Remember the story as it is, so that undo returns to it.
  step() {
    const top = this.#past.at(-1);
    if (!top || top.text !== this.text) this.#past.push(this.#copy());
    if (this.#past.length > MOST_STEPS) this.#past.shift();
    this.#future = [];
    this.#typedAt = -Infinity;
  }

  // The text after typing. Typing without a pause is one step.
  type(text, now) {
    if (text === this.text) return;
    if (now - this.#typedAt > PAUSE) this.step();
    this.#typedAt = now;
    let start = 0;
    const most = Math.min(text.length, this.text.length);
    while (start < most && text[start] === this.text[start]) start++;
    let same = 0;
    while (same < most - start && text.at(-1 - same) === this.text.at(-1 - same)) same++;
    const removedTo = this.text.length - same;
    const grown = text.length - this.text.length;
    const move = (place) => place <= start ? place : place >= removedTo ? place + grown : start;
    this.passages = this.passages
      .map(({ start: from, end }) => ({ start: move(from), end: end <= start ? end : Math.max(move(from), move(end)) }))
      .filter(({ start: from, end }) => from < end);
    this.text = text;
  }

  // Begin a passage of the model at the end.
  begin() {
    this.step();
    if (!this.#keepsSpaces) this.text = this.text.replace(/[ \t]+$/, "");
    for (const passage of this.passages) passage.end = Math.min(passage.end, this.text.length);
    this.passages.push({ start: this.text.length, end: this.text.length });
  }

  add(piece) {
    this.text += piece.replace(/\r\n?/g, "\n"); // a text field knows no other line ends
    this.passages.at(-1).end = this.text.length;
  }

  // Remove a passage that stayed empty.
  drop() {
    const before = this.#past.pop();
    if (before) ({ text: this.text, passages: this.passages } = before);
  }

  // Remove the last passage, to rewrite it.
  rewind() {
    const { start } = this.last;
    this.step();
    this.text = this.text.slice(0, start);
    this.passages.pop();
  }

  undo() { this.#go(this.#past, this.#future); }
  redo() { this.#go(this.#future, this.#past); }

  replace(text, passages = []) {
    this.step();
    this.text = text;
    this.passages = passages;
  }

  #go(from, to) {
    if (!from.length) return;
    to.push(this.#copy());
    ({ text: this.text, passages: this.passages } = from.pop());
    this.#typedAt = -Infinity;
  }

  #copy() { return { text: this.text, passages: this.passages.map((passage) => ({ ...passage })) }; }

  toJSON() { return { text: this.text, passages: this.passages }; }
}

// A story from a file: what `save` wrote, or plain text. Throws a sentence for the reader.
export function readStory(name, content) {
  if (!name.toLowerCase().endsWith(".json")) return { text: content.replace(/\r\n?/g, "\n"), passages: [] };
  let saved;
  try { saved = JSON.parse(content); } catch { throw new Error(`${name} is not a saved story: it is no valid JSON.`); }
  if (typeof saved?.text !== "string") throw new Error(`${name} is not a saved story: it holds no text.`);
  const fits = ({ start, end }) => Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= saved.text.length;
  return { text: saved.text, passages: Array.isArray(saved.passages) ? saved.passages.filter((passage) => passage && fits(passage)) : [], settings: saved.settings };
}
