// The end of a text, up to a maximum length, from the beginning of a paragraph or at least of a word.
export function ending(text, mostChars) {
  if (text.length <= mostChars) return text;
  const cut = text.slice(-mostChars);
  const paragraph = cut.indexOf("\n"), word = cut.search(/\s/);
  if (paragraph >= 0 && paragraph < mostChars / 4) return cut.slice(paragraph + 1);
  return word >= 0 && word < mostChars / 4 ? cut.slice(word + 1) : cut;
}
