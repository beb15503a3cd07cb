// How a token is drawn: the filters of fabula's own sampler, in its order (generation/sampling.py).

// The tokens that may come next, in ascending order, and their weights. `used` are the tokens of the story so far.
export function candidates(logits, { temperature, top_k, top_p, min_p, repetition_penalty }, used) {
  const scores = Float32Array.from(logits);
  if (repetition_penalty !== 1)
    for (const id of new Set(used)) scores[id] = scores[id] < 0 ? scores[id] * repetition_penalty : scores[id] / repetition_penalty;
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  if (temperature === 0) return { ids: [best], weights: [1] };
  let ids = Array.from(scores, (_, id) => id);
  if (top_k > 0 && top_k < scores.length) {
    const edge = Float32Array.from(scores).sort()[scores.length - top_k];
    ids = ids.filter((id) => scores[id] >= edge);
  }
  let weights = ids.map((id) => Math.exp((scores[id] - scores[best]) / temperature));
  const keep = (least) => {
    const kept = weights.map((weight) => weight >= least);
    ids = ids.filter((_, place) => kept[place]);
    weights = weights.filter((_, place) => kept[place]);
  };
  if (top_p < 1) {
    const ascending = Float64Array.from(weights).sort();
    const total = ascending.reduce((sum, weight) => sum + weight, 0);
    let gone = 0;
    for (let sum = ascending[0]; gone < ascending.length - 1 && sum <= (1 - top_p) * total; sum += ascending[gone]) gone++;
    keep(ascending[gone]);
  }
  if (min_p > 0) keep(min_p); // the largest weight is 1
  return { ids, weights };
}

// Numbers in [0, 1), always the same for the same seed (the generator "mulberry32").
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
