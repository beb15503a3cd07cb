// The settings in plain words. Their values come from the model.

import { element } from "./element.js";

const FIELDS = [
  { name: "max_new_tokens", label: "Length of a passage", min: 10, max: 400, step: 10,
    help: "In tokens; 100 tokens are about 70 words. The passage is shorter if the model ends the story." },
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05,
    help: "Low values choose expected words, high values surprising ones. 0 always chooses the likeliest word." },
  { name: "top_p", label: "Top-p", min: 0.05, max: 1, step: 0.01,
    help: "Choose among the likeliest words that together have this share of the probability. 1 means all words." },
  { name: "top_k", label: "Top-k", min: 0, max: 200, step: 1,
    help: "Choose among this many of the likeliest words. 0 means all words." },
  { name: "min_p", label: "Min-p", min: 0, max: 0.5, step: 0.01,
    help: "Leave out words whose probability is below this share of the likeliest word's. 0 leaves out none." },
  { name: "repetition_penalty", label: "Repetition penalty", min: 1, max: 2, step: 0.01,
    help: "Above 1, words that the story has already used become less likely." },
];
const PASSAGE = 100;

// The settings of a preset, computed from the model's own.
const PRESETS = {
  careful: (own) => ({ temperature: round(own.temperature * 0.7), top_p: round(Math.min(own.top_p, 0.9)) }),
  balanced: () => ({}),
  wild: (own) => ({ temperature: round(Math.max(own.temperature, 0.5) * 1.35), top_p: 1, min_p: Math.max(own.min_p, 0.03) }),
};
const SAMPLING = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"];
const round = (value) => Math.round(value * 20) / 20;

export class Settings {
  #own;
  #inputs = new Map();
  #seed;

  constructor(place, own, limits) {
    this.#own = { ...own, max_new_tokens: Math.min(PASSAGE, own.max_new_tokens, limits.max_new_tokens) };
    for (const field of FIELDS) {
      const most = field.name === "max_new_tokens" ? limits.max_new_tokens : Math.max(field.max, own[field.name]);
      const least = Math.min(field.min, this.#own[field.name]);
      const step = field.name === "max_new_tokens" && (most % field.step || least % field.step) ? 1 : field.step;
      const input = element("input", { type: "range", min: least, max: most, step });
      const output = element("output");
      input.addEventListener("input", () => { output.value = input.value; });
      this.#inputs.set(field.name, { input, output });
      place.append(labelled(field, input, output));
    }
    this.#seed = element("input", { type: "number", min: 0, step: 1, placeholder: "new each time", inputMode: "numeric" });
    place.append(labelled({ name: "seed", label: "Seed",
      help: "With a number here, the same story and settings give the same words each time. Rewrite uses the next number." }, this.#seed));
    this.reset();
  }

  get values() { return Object.fromEntries([...this.#inputs].map(([name, { input }]) => [name, input.valueAsNumber])); }

  get seed() { return this.#seed.value === "" ? null : Math.max(0, Math.trunc(this.#seed.valueAsNumber || 0)); }

  get preset() {
    const values = this.values;
    return Object.keys(PRESETS).find((name) => SAMPLING.every((field) => Math.abs(values[field] - this.#presetValues(name)[field]) < 0.011)) ?? "";
  }

  set preset(name) { this.set(this.#presetValues(name)); }

  #presetValues(name) {
    return Object.fromEntries(SAMPLING.map((field) => [field, { ...this.#own, ...PRESETS[name](this.#own) }[field]]));
  }

  reset() { this.set({ ...this.#own, seed: null }); }

  set(values) {
    for (const [name, { input, output }] of this.#inputs) {
      if (Number.isFinite(values?.[name])) input.value = values[name];
      output.value = input.value;
    }
    if (values && "seed" in values) this.#seed.value = values.seed ?? "";
  }
}

function labelled({ name, label, help }, input, output) {
  input.id = `set-${name}`;
  input.setAttribute("aria-describedby", `help-${name}`);
  const title = element("label", { htmlFor: input.id, textContent: label });
  const head = element("div", { className: "head" });
  head.append(title, ...(output ? [output] : []));
  const field = element("div", { className: "field" });
  field.append(head, input, element("p", { id: `help-${name}`, className: "quiet", textContent: help }));
  return field;
}
