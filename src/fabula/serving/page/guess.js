// Guess which: two passages, one of which a person wrote.

import { element } from "./element.js";
import { answered, post } from "./writer.js";

// Show a pair that nobody has answered yet.
export async function showPair(place) {
  if (place.dataset.state === "asked") return;
  place.dataset.state = "asked";
  const problem = element("p", { className: "problem", role: "alert", hidden: true });
  const fail = ({ message }) => { problem.textContent = message; problem.hidden = false; place.dataset.state = ""; };
  let pair;
  try { pair = await (await answered(fetch("pair.json"))).json(); } catch (error) { place.replaceChildren(problem); return fail(error); }
  const result = element("p", { className: "result", role: "status" });
  const said = element("p", { className: "quiet", textContent: pair.said });
  const next = element("button", { className: "primary", textContent: "Next pair", hidden: true, onclick: () => { place.dataset.state = ""; showPair(place); } });
  const passages = pair.passages.map((text, index) => element("button", { className: "passage", onclick: () => choose(index) },
    element("kbd", { textContent: index + 1 }), element("span", { textContent: text })));
  const neither = element("button", { textContent: "I cannot tell", onclick: () => choose(null) });
  place.replaceChildren(element("h2", { textContent: "Which of the two did a person write?" }),
    pair.opening ? element("p", { className: "opening-text" }, element("span", { className: "quiet", textContent: "Both begin: " }), element("q", { textContent: pair.opening })) : "",
    element("div", { className: "pair" }, passages), element("div", { className: "row" }, neither, next), result, said, problem);

  async function choose(chosen) {
    for (const button of [...passages, neither]) button.disabled = true;
    try {
      const { person, said: now } = await (await post("guess", { id: pair.id, chosen })).json();
      passages[person].classList.add("person");
      result.textContent = chosen === null ? `A person wrote number ${person + 1}.` : chosen === person ? "Right. A person wrote that one." : `No. A person wrote number ${person + 1}.`;
      said.textContent = now;
      neither.hidden = true;
      next.hidden = false;
      next.focus();
    } catch (error) { fail(error); }
  }
}
