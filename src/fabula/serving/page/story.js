// A story: its text, the passages in it that the model wrote, with their alternatives, and undo and redo. Independent of
// the page.

const MOST_STEPS = 300;
const MOST_STEP_CHARS = 2_000_000;
const SPACE = /\s/;
const PAUSE = 1000; // ms without typing after which an edit is a new step

export class Story {
  text = "";
  // The passages by the model, in order: {start, end, alternatives, index}; end is exclusive. The text of alternative `index` is
  // the current text in the story, with edits.
  passages = [];
  #past = []; // {start, removed, inserted, passages}: how to come back to what was before
  #future = [];
  #open = null; // the story as it was when the step began that is still growing
  #typedAt = -Infinity;
  #keepsSpaces;
  #counted = ""; // the text that has `#numWords` words
  #numWords = 0;

  // `keepsSpaces`: the model continues a text that ends in spaces; otherwise it writes its own, and those are removed.
  constructor({ keepsSpaces = true } = {}) { this.#keepsSpaces = keepsSpaces; }

  get canUndo() { return this.#past.length > 0 || this.#isChanged(); }
  get canRedo() { return this.#future.length > 0 && !this.#isChanged(); }

  // Counts only the words at the places that changed since the last count.
  get numWords() {
    if (this.#counted === this.text) return this.#numWords;
    const { start, removed, inserted } = difference(this.#counted, this.text);
    let first = start, rest = start + inserted.length;
    while (first > 0 && !SPACE.test(this.text[first - 1])) first--;
    while (rest < this.text.length && !SPACE.test(this.text[rest])) rest++;
    const around = rest - start - inserted.length;
    this.#numWords += countWords(this.text.slice(first, rest)) - countWords(this.#counted.slice(first, start + removed.length + around));
    this.#counted = this.text;
    return this.#numWords;
  }

  // The passage that Rewrite applies to when the caret is at a place: the one there, or else the last one.
  passageAt(caret) {
    return this.passages.findLast(({ start, end }) => start < caret && caret <= end) ?? this.passages.at(-1) ?? null;
  }

  // Begin a new step, which undo reverts as a whole.
  step() {
    this.#close();
    this.#open = this.#copy();
    this.#future = [];
    this.#typedAt = -Infinity;
  }

  // The text after typing. Typing without a pause is one step. Returns where the texts begin to differ.
  type(text, now) {
    if (text === this.text) return text.length;
    if (now - this.#typedAt > PAUSE) this.step();
    this.#typedAt = now;
    const { start, removed, inserted } = difference(this.text, text);
    this.#replace(start, start + removed.length, inserted);
    return start;
  }

  // Begin a passage of the model in place of a part of the story; returns it.
  begin(start, end = start) {
    this.step();
    const removed = this.text.slice(start, end);
    if (!this.#keepsSpaces) start = this.text.slice(0, start).replace(/[ \t]+$/, "").length;
    this.#replace(start, end, "");
    const passage = { start, end: start, alternatives: removed.trim() ? [removed] : [], index: -1 };
    this.#put(passage);
    return passage;
  }

  // Begin another alternative of a passage.
  beginAgain(passage) {
    this.step();
    this.#keep(passage);
    const { start, end } = passage;
    this.passages = this.passages.filter((each) => each !== passage);
    this.#replace(start, end, "");
    Object.assign(passage, { start, end: start });
    this.#put(passage);
  }

  // Add to a passage that was begun.
  add(passage, piece) {
    piece = piece.replace(/\r\n?/g, "\n"); // a text field knows no other line ends
    this.text = this.text.slice(0, passage.end) + piece + this.text.slice(passage.end);
    for (const each of this.passages) {
      if (each === passage) continue;
      if (each.start >= passage.end) each.start += piece.length;
      if (each.start > passage.end || each.end > passage.end) each.end += piece.length;
    }
    passage.end += piece.length;
  }

  // A passage is complete: it becomes an alternative. An empty one leaves the story unchanged.
  finish(passage) {
    if (passage.start === passage.end) return this.drop();
    passage.alternatives.push(this.text.slice(passage.start, passage.end));
    passage.index = passage.alternatives.length - 1;
    this.#close();
  }

  // Revert the open step.
  drop() {
    if (!this.#open) return;
    ({ text: this.text, passages: this.passages } = this.#open);
    this.#open = null;
  }

  // Show another alternative of a passage.
  choose(passage, index) {
    if (index === passage.index || !passage.alternatives[index]) return;
    this.step();
    this.#keep(passage);
    const { start, end } = passage;
    const others = this.passages.filter((each) => each !== passage);
    this.passages = others;
    this.#replace(start, end, passage.alternatives[index]);
    Object.assign(passage, { start, end: start + passage.alternatives[index].length, index });
    this.#put(passage);
    this.#close();
  }

  undo() {
    this.#close();
    this.#go(this.#past, this.#future);
  }

  redo() {
    if (!this.#isChanged()) this.#go(this.#future, this.#past);
  }

  replace(text, passages = []) {
    this.step();
    this.text = text;
    this.passages = passages;
    this.#close();
  }

  toJSON() {
    const past = this.#isChanged() ? [...this.#past, this.#stepSince(this.#open)] : this.#past;
    return { text: this.text, passages: this.passages, past, future: this.#future };
  }

  // Load the story that `toJSON` made.
  load({ text = "", passages = [], past = [], future = [] }) {
    this.text = text;
    this.passages = passages.filter((passage) => isPassage(passage, text)).map(({ start, end, alternatives = [], index = -1 }) => ({
      start, end, alternatives: index < 0 ? [...alternatives, text.slice(start, end)] : alternatives, index: index < 0 ? alternatives.length : index, // it was left while it was being written
    }));
    [this.#past, this.#future, this.#open, this.#typedAt] = [past, future, null, -Infinity];
  }

  // Store the current text of a passage, with edits, as its alternative.
  #keep(passage) {
    if (passage.index >= 0) passage.alternatives = passage.alternatives.with(passage.index, this.text.slice(passage.start, passage.end));
  }

  #put(passage) {
    this.passages = [...this.passages, passage].sort((one, other) => one.start - other.start);
  }

  #replace(start, end, inserted) {
    const grown = inserted.length - (end - start);
    const move = (place) => place <= start ? place : place >= end ? place + grown : start;
    this.text = this.text.slice(0, start) + inserted + this.text.slice(end);
    this.passages = this.passages
      .map((passage) => ({ ...passage, start: passage.start >= end ? passage.start + grown : move(passage.start), end: passage.end <= start ? passage.end : Math.max(move(passage.start), move(passage.end)) }))
      .filter((passage) => passage.start < passage.end);
  }

  #isChanged() { return this.#open !== null && (this.#open.text !== this.text || this.#open.passages.length !== this.passages.length); }

  // Push the open step onto the history if it changed anything.
  #close() {
    const open = this.#open;
    this.#open = null;
    this.#typedAt = -Infinity;
    if (!open || (open.text === this.text && same(open.passages, this.passages))) return;
    this.#past.push(this.#stepSince(open));
    let size = this.#past.reduce((sum, { removed, inserted }) => sum + removed.length + inserted.length, 0);
    while (this.#past.length > MOST_STEPS || size > MOST_STEP_CHARS) {
      const { removed, inserted } = this.#past.shift();
      size -= removed.length + inserted.length;
    }
  }

  #stepSince(before) { return { ...difference(before.text, this.text), passages: before.passages }; }

  #go(from, to) {
    const step = from.pop();
    if (!step) return;
    const { start, removed, inserted, passages } = step;
    to.push({ start, removed: inserted, inserted: removed, passages: this.#copy().passages });
    this.text = this.text.slice(0, start) + removed + this.text.slice(start + inserted.length);
    this.passages = passages.map((passage) => ({ ...passage }));
  }

  #copy() { return { text: this.text, passages: this.passages.map((passage) => ({ ...passage })) }; }
}

// The text in UTF-8 or UTF-16, or else in the encoding of older Windows programs.
function decoded(bytes) {
  const [first, second] = new Uint8Array(bytes);
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return new TextDecoder("windows-1252").decode(bytes); }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

const countWords = (text) => text.split(/\s+/).filter(Boolean).length;

// One replacement: `removed`, from `start` on, by `inserted`. Compares texts or arrays.
export function difference(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let ends = 0;
  while (ends < most - start && before[before.length - 1 - ends] === after[after.length - 1 - ends]) ends++;
  return { start, removed: before.slice(start, before.length - ends), inserted: after.slice(start, after.length - ends) };
}

const isPassage = (passage, text) => Number.isInteger(passage?.start) && Number.isInteger(passage.end) && 0 <= passage.start && passage.start < passage.end && passage.end <= text.length;

// A story from the bytes of a file: what `save` wrote, Markdown or plain text. Throws a sentence for the reader.
export function readStory(name, bytes) {
  const content = decoded(bytes).replace(/\r\n?/g, "\n").trimEnd();
  if (content.includes("\0")) throw new Error(`${name} is not a text file. Save it as .txt first, or copy its text and paste it here.`);
  const ending = name.toLowerCase().match(/\.[^.]*$/)?.[0];
  if (ending === ".md") return { text: content.replace(/\\([!-/:-@[-`{-~])/g, "$1").replace(/&lt;/g, "<").replace(/&amp;/g, "&"), passages: [] };
  if (ending !== ".json") return { text: content, passages: [] };
  let saved;
  try { saved = JSON.parse(content); } catch { throw new Error(`${name} is not a saved story: it is not valid JSON.`); }
  if (typeof saved?.text !== "string") throw new Error(`${name} is not a saved story: it holds no text.`);
  const passages = Array.isArray(saved.passages) ? saved.passages.filter((passage) => isPassage(passage, saved.text)) : [];
  const words = (value) => typeof value === "string" ? value : "";
  return { name: words(saved.name), text: saved.text, passages: passages.map(({ start, end }) => ({ start, end })), memory: words(saved.memory), note: words(saved.note), settings: saved.settings };
}
