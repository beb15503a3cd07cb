// The part of a story that the model reads.

const CHARS_PER_TOKEN = 3; // few, so that memory and note stay in the context in any language
const SPARE_TOKENS = 64;
const LEAST_CHARS = 200;
const NOTE_LINES = 3; // lines of the story after the author's note

// The end of the text before the caret, with memory and author's note. `unread`: characters of it that are left out.
export function prompt(before, { memory, note }, limits, maxNewTokens) {
  const facts = memory.trim(), hint = note.trim();
  if (!facts && !hint) {
    const read = ending(before, limits.max_prompt_chars);
    return { text: read, unread: before.length - read.length };
  }
  const room = Math.min(limits.max_prompt_chars, (limits.context_length - maxNewTokens - SPARE_TOKENS) * CHARS_PER_TOKEN) - facts.length - hint.length - 8;
  const read = ending(before, Math.max(LEAST_CHARS, room));
  let place = read.length;
  for (let lines = 0; lines < NOTE_LINES && place > 0; lines++) place = Math.max(0, read.lastIndexOf("\n", place - 1));
  const noted = hint ? `${read.slice(0, place)}${place ? "\n" : ""}[${hint}]\n${read.slice(place).replace(/^\n/, "")}` : read;
  return { text: facts ? `${facts}\n\n${noted}` : noted, unread: before.length - read.length };
}

// The end of a text, up to a maximum length, from the beginning of a paragraph or at least of a word.
function ending(text, mostChars) {
  if (text.length <= mostChars) return text;
  const cut = text.slice(-mostChars);
  const paragraph = cut.indexOf("\n"), word = cut.search(/\s/);
  if (paragraph >= 0 && paragraph < mostChars / 4) return cut.slice(paragraph + 1);
  return word >= 0 && word < mostChars / 4 ? cut.slice(word + 1) : cut;
}
