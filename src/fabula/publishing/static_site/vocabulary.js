// The text of each token (generation/vocabulary.py), and words that become more or less likely (generation/word_bias.py). Text is spelled in bytes: each character of a "byte string" is one byte of UTF-8.

const BEGUN = /[\p{L}\p{N}_]*$/u;
const BREAKERS = ["\n", ":", '"', "*", "“", "”"].map(bytesOf); // of DRY's sequences

export function bytesOf(text) { return String.fromCharCode(...new TextEncoder().encode(text)); }

// The text of a byte string, without the bytes of an incomplete character at its end.
function textOf(bytes) { return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)), { stream: true }); }

export class Vocabulary {
  #idsOf = new Map();

  // `tokenizer` is the content of tokenizer.json.
  constructor(tokenizer) {
    const { model, decoder, added_tokens: added = [] } = tokenizer;
    const kinds = [decoder, ...decoder?.decoders ?? []].map((step) => step?.type);
    const spell = kinds.includes("ByteLevel") ? byteLevel() : kinds.some((kind) => kind === "Metaspace" || kind === "ByteFallback") ? spellPiece : () => "";
    const names = Array.isArray(model.vocab) ? model.vocab.map(([name], id) => [name, id]) : Object.entries(model.vocab);
    const special = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.bytes = Array(Math.max(...names.map(([, id]) => id), ...added.map(({ id }) => id)) + 1).fill("");
    for (const [name, id] of names) if (!special.has(id)) this.bytes[id] = spell(name);
    this.bytes.forEach((bytes, id) => {
      if (!this.#idsOf.has(bytes)) this.#idsOf.set(bytes, []);
      this.#idsOf.get(bytes).push(id);
    });
    this.breakers = new Set([...this.bytes.keys()].filter((id) => BREAKERS.some((each) => this.bytes[id].includes(each))));
  }

  // Whether the text of the tokens is known.
  get isSpelled() { return this.bytes.some(Boolean); }

  textOf(ids) { return textOf(ids.map((id) => this.bytes[id] ?? "").join("")); }

  // The tokens whose text is the beginning of a byte string, or all of it.
  prefixes(bytes) { return Array.from(bytes, (_, place) => this.#idsOf.get(bytes.slice(0, place + 1)) ?? []).flat(); }
}

// GPT-2's names of the bytes: printable Latin-1 characters represent themselves, the others are numbered from U+0100.
function byteLevel() {
  const table = new Map();
  let others = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte !== 0xad);
    table.set(String.fromCharCode(isPrintable ? byte : others++), String.fromCharCode(byte));
  }
  return (name) => [...name].every((char) => table.has(char)) ? Array.from(name, (char) => table.get(char)).join("") : bytesOf(name);
}

// SentencePiece: ▁ is a space, <0x0A> a byte.
function spellPiece(name) {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(name);
  return byte ? String.fromCharCode(parseInt(byte[1], 16)) : bytesOf(name.replaceAll("▁", " "));
}

export class WordBias {
  #vocabulary; #words; #goesOn; #begins = new Map();

  constructor(vocabulary, bias) {
    this.#vocabulary = vocabulary;
    this.#words = Object.entries(bias).map(([word, value]) => [[...new Set([word, word[0].toUpperCase() + word.slice(1), word.toUpperCase()])], value]);
    this.#goesOn = [...vocabulary.bytes.keys()].filter((id) => /^[0-9A-Za-z]/.test(vocabulary.bytes[id]));
    for (const [spellings, value] of this.#words)
      for (const [id, share] of this.#shares(spellings, value, "", " ")) this.#begins.set(id, (this.#begins.get(id) ?? 0) + share);
  }

  // Add to the logits of the token that follows `before`.
  add(logits, before) {
    for (const [id, share] of this.#begins) logits[id] += share;
    const [begun] = BEGUN.exec(before);
    for (const [spellings, value] of this.#words) {
      if (spellings.includes(begun) && value > 0) for (const id of this.#goesOn) logits[id] -= value;
      for (const [id, share] of this.#shares(spellings, value, begun, "")) logits[id] += share;
    }
  }

  // The bias of tokens that write a word or continue what is written of it; `lead` is the text that they begin with.
  #shares(spellings, value, begun, lead) {
    const shares = new Map();
    for (const spelling of spellings) {
      if (!spelling.startsWith(begun)) continue;
      const word = bytesOf(spelling), numWritten = bytesOf(begun).length;
      for (const id of this.#vocabulary.prefixes(lead + word.slice(numWritten))) {
        const size = this.#vocabulary.bytes[id].length - lead.length;
        if (size > 0) shares.set(id, value * (numWritten + size) / word.length);
      }
    }
    return shares;
  }
}
