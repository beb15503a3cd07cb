// A passage that is being written (generation/draft.py): draws its tokens, goes back before banned phrases, ends with a whole sentence, and holds back text that may still change.

import { candidates, draw } from "./sampling.js";
import { WordBias } from "./vocabulary.js";

const MAX_REWINDS = 200;
const MAX_PHRASE = 100;
const HELD_TOKENS = 64; // before the limit, in which only whole sentences are shown
export const MAX_MORE_TOKENS = 40; // beyond the limit, in which a sentence may still end
const WORD = "[\\p{L}\\p{N}_]";
const SENTENCE_END = /[.!?…\u061f\u06d4\u0964]+[”"’')\]*_]*(?=\s)|[。！？]+[」』”]*/gu; // as in generation/sentences.py
const ABBREVIATION = /(?:\b(?:Mr|Mrs|Ms|Dr|St|Mt|Jr|Sr|Prof|Rev|Gen|Col|Capt|Lt|Sgt|No|vs)|\b[A-Z])\.$/u;

export class Passage {
  ids = []; // drawn so far
  reason = null; // why it ended
  mustReread = false; // the last tokens were taken back, so that the model must read the passage again
  #lengths = []; // of the text before each draw
  #text = "";
  #atLimit = null; // the text when the limit was reached
  #numShown = 0;
  #forbidden = new Map(); // by draw: tokens that must not be drawn there
  #numRewinds = 0;
  #before; #used; #vocabulary; #settings; #endIds; #random; #most; #phrases; #banned; #bias; #decode; #numMore;

  // `text` and `ids` are those of the story before the passage; `decode` makes a text of tokens whose spelling the vocabulary does not know; `numMore` are the tokens beyond `max_new_tokens` in which a sentence may end.
  constructor({ text, ids, vocabulary, settings, endIds, random, decode, numMore = MAX_MORE_TOKENS }) {
    this.#before = text.slice(-MAX_PHRASE);
    this.#used = ids;
    this.#vocabulary = vocabulary;
    this.#settings = settings;
    this.#endIds = endIds;
    this.#random = random;
    this.#numMore = numMore;
    this.#decode = vocabulary.isSpelled ? (ids) => vocabulary.textOf(ids) : decode;
    this.#most = settings.max_new_tokens;
    this.#phrases = (settings.banned_phrases ?? []).map((phrase) => phrase.trim()).filter(Boolean);
    const alternatives = this.#phrases.map((phrase) => phrase.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|");
    this.#banned = alternatives && new RegExp(`(?<!${WORD})(?:${alternatives})(?!${WORD})`, "giu");
    const bias = settings.word_bias ?? {};
    this.#bias = Object.keys(bias).length ? new WordBias(vocabulary, bias) : null;
  }

  // Draw the next token; return the text that can be shown now.
  draw(logits) {
    const scores = Float32Array.from(logits);
    for (const id of this.#forbidden.get(this.ids.length) ?? []) scores[id] = -Infinity;
    this.#bias?.add(scores, this.#before + this.#text);
    const uniform = this.#random(), chance = this.#settings.xtc_probability ?? 0;
    const withoutLikeliest = chance > 0 && this.#random() < chance;
    const found = candidates(scores, this.#settings, [...this.#used, ...this.ids], { breakers: this.#vocabulary.breakers, withoutLikeliest });
    const id = draw(found, uniform);
    this.#lengths.push(this.#text.length);
    this.ids.push(id);
    const isEnd = this.#endIds.includes(id);
    this.#text = this.#decode(isEnd ? this.ids.slice(0, -1) : this.ids);
    if (isEnd) this.reason = "end";
    else if (this.ids.length >= this.#most) this.#finish(this.ids.length - this.#most);
    if (this.#banned) this.#avoidBanned();
    const shown = this.#text.slice(this.#numShown, this.#numFinal());
    this.#numShown += shown.length;
    return shown;
  }

  // End the passage at the end of a sentence if there is one, or cut it if none has come in time. `over`: tokens beyond the limit.
  #finish(over) {
    if (!this.#settings.whole_sentences) return void (this.reason = "length");
    this.#atLimit ??= this.#text.trimEnd();
    let end = lastSentenceEnd(this.#text);
    if (end < this.#atLimit.length && over < this.#numMore) return;
    if (end < this.#atLimit.length) end = lastSentenceEnd(`${this.#text} `);
    this.reason = end && end >= this.#numShown ? "sentence" : "length";
    if (this.reason === "length") {
      end = lastLineEnd(this.#text); // of verse, which may have no sentences
      if (end <= Math.max(this.#numShown, this.#text.length / 2)) end = Math.max(lastWordEnd(this.#text), this.#numShown);
    }
    this.#text = this.#text.slice(0, end);
  }

  #avoidBanned() {
    const text = this.#before + this.#text;
    for (const { index, 0: phrase } of text.matchAll(this.#banned)) {
      const end = index + phrase.length;
      const isComplete = end < text.length || this.reason !== null || !/[\p{L}\p{N}]$/u.test(text);
      if (end > this.#before.length && isComplete) return this.#rewind(Math.max(index - this.#before.length, 0));
    }
  }

  // Go back to before the token that wrote a character, and forbid it there.
  #rewind(start) {
    const step = this.#stepOf(start), id = this.ids[step];
    this.#text = this.#text.slice(0, this.#lengths[step]);
    this.#atLimit = null;
    this.mustReread = true;
    this.reason = ++this.#numRewinds > MAX_REWINDS ? "length" : null;
    if (this.reason) return;
    this.ids.length = this.#lengths.length = step;
    for (const place of this.#forbidden.keys()) if (place > step) this.#forbidden.delete(place);
    if (!this.#forbidden.has(step)) this.#forbidden.set(step, new Set());
    this.#forbidden.get(step).add(id);
  }

  // The draw that wrote a character.
  #stepOf(character) { return Math.max(this.#lengths.findLastIndex((length) => length <= character), 0); }

  // The number of characters that can no longer change.
  #numFinal() {
    if (this.reason !== null) return this.#text.length;
    const isHeld = this.#settings.whole_sentences && this.ids.length > this.#most - HELD_TOKENS;
    const final = isHeld ? lastSentenceEnd(this.#text) : this.#text.length;
    return Math.max(Math.min(final, this.#banned ? this.#beforeBanned() : final), this.#numShown);
  }

  // The number of characters before the token in which a banned phrase may have begun.
  #beforeBanned() {
    const text = (this.#before + this.#text).toLowerCase();
    const begun = Math.max(...this.#phrases.map((phrase) => {
      let size = Math.min(phrase.length, text.length);
      while (size && !text.endsWith(phrase.toLowerCase().slice(0, size))) size--;
      return size;
    }));
    return begun ? this.#lengths[this.#stepOf(Math.max(this.#text.length - begun, 0))] ?? 0 : this.#text.length;
  }
}

// The position after the last complete sentence, without white space; 0 if there is none. A mark at the very end does not count: a quote may follow.
function lastSentenceEnd(text) {
  const ends = Array.from(text.matchAll(SENTENCE_END), ({ index, 0: mark }) => index + mark.length);
  return ends.findLast((end) => !ABBREVIATION.test(text.slice(0, end))) ?? 0;
}

// The position after the last complete word; the end of a text without white space.
function lastWordEnd(text) {
  const words = text.trimEnd();
  return words.length < text.length ? words.length : text.replace(/\s+\S*$/, "").length;
}

// The position after the last complete line, without white space.
const lastLineEnd = (text) => text.slice(0, text.lastIndexOf("\n") + 1).trimEnd().length;

const NOTE_DEPTH = 32;
const MEMORY_SHARE = 4;

// What the model reads before a passage: the start, the memory, and the end of the story with the author's note before the last line that begins at least `NOTE_DEPTH` tokens (or an eighth of the context) before its end. `encode` makes tokens of a text.
export function reading({ text, memory = "", note = "", numTokens }, { encode, vocabulary, engine }) {
  const facts = memory.trim() ? encode(`${memory.trim()}\n\n`) : [];
  const hint = note.trim() ? encode(`[${note.trim()}]\n`) : [];
  const most = Math.floor(engine.context_length / MEMORY_SHARE), size = facts.length + hint.length;
  if (size > most) throw new Error(`the memory and the author’s note have ${size} tokens, and this model allows ${most}`);
  const room = engine.context_length - size;
  let start = [engine.start_id], story = encode(text);
  if (start.length + story.length + numTokens > room) {
    start = [];
    story = story.slice(-Math.floor(room / 2)); // the model reads only the end of the story
  }
  let place = Math.max(story.length - Math.min(NOTE_DEPTH, Math.floor(engine.context_length / 8)), 0);
  while (place > 0 && !vocabulary.bytes[story[place - 1]]?.endsWith("\n")) place--;
  return [...start, ...facts, ...story.slice(0, place), ...hint, ...story.slice(place)];
}
