// What else the model would have written in place of a word, with the probabilities.

import { element } from "./element.js";

const WORDS = /[\p{L}\p{N}\p{M}]+(?:['’][\p{L}\p{N}\p{M}]+)*/gu;
const NEAR = 200; // characters around the caret in which its word is looked for

// The word that is selected, or at the caret: {start, end, text}; null if there is none, or more than one.
export function wordAt(text, { start, end }) {
  const selected = text.slice(start, end);
  start += selected.length - selected.trimStart().length;
  end = Math.max(start, end - (selected.length - selected.trimEnd().length));
  const from = Math.max(0, start - NEAR);
  for (const { index, 0: word } of text.slice(from, end + NEAR).matchAll(WORDS)) {
    const found = { start: from + index, end: from + index + word.length, text: word };
    if (found.start <= start && end <= found.end) return found;
  }
  return null;
}

// Fill the panel. `choose(text)` is called for a word, `close()` to take none.
export function showWords(panel, [written, ...others], choose, close) {
  const most = Math.max(written.probability, ...others.map(({ probability }) => probability));
  const rest = 1 - [written, ...others].reduce((sum, { probability }) => sum + probability, 0);
  panel.replaceChildren(
    element("h2", { id: "words-title", textContent: `In place of “${written.text}”` }),
    element("p", { className: "quiet", textContent: `The model gives “${written.text}” ${percent(written.probability)} here.` }),
    element("ol", {}, others.map(({ text, probability, tokens }, index) => {
      const bar = element("span", { className: "share", ariaHidden: "true" });
      bar.style.setProperty("--share", probability / most);
      return element("li", {}, element("button", { onclick: () => choose(text) }, element("kbd", { textContent: index + 1 }),
        element("span", { className: "word" }, text, tokens.length > 1 && element("small", { className: "quiet", title: tokens.map(([each, share]) => `${each.trim()} ${percent(share)}`).join(" × "), textContent: ` ${tokens.map(([each]) => each.trim()).join("·")}` })),
        bar, element("span", { className: "percent", textContent: percent(probability) })));
    })),
    element("p", { className: "quiet", textContent: `All other words and marks: ${percent(Math.max(0, rest))}. These are the model’s own probabilities, before temperature and the other settings. For a word of several tokens (to·ken) they are multiplied.` }),
    element("button", { textContent: "Keep it", onclick: close }));
}

const percent = (share) => share < 0.0001 ? "less than 0.01 %" : `${(100 * share).toPrecision(share < 0.01 ? 1 : 2).replace(/^(\d)e\+(\d)$/, (_, digit, zeros) => digit + "0".repeat(zeros))} %`;
