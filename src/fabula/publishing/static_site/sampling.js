// How a token is drawn: the filters of fabula's own sampler, in its order and with its formulas (generation/sampling.py).

const MAX_REPEATED = 50; // longest repeated sequence that DRY distinguishes

// The tokens that may come next, in ascending order, and their weights. `used` are the tokens of the story so far, `breakers` those that end a sequence for DRY; `withoutLikeliest` says whether XTC applies to this token.
export function candidates(logits, settings, used, { breakers = new Set(), withoutLikeliest = false } = {}) {
  const { temperature, top_k = 0, top_p = 1, min_p = 0, repetition_penalty = 1, top_n_sigma = 0, xtc_threshold = 0.1 } = settings;
  const { dry_multiplier = 0, dry_base = 1.75, dry_allowed_length = 2 } = settings;
  const scores = Float32Array.from(logits);
  if (repetition_penalty !== 1)
    for (const id of new Set(used)) scores[id] = scores[id] < 0 ? scores[id] * repetition_penalty : scores[id] / repetition_penalty;
  if (dry_multiplier > 0)
    for (const [id, length] of repeatedLengths(used, breakers))
      if (length >= dry_allowed_length) scores[id] -= dry_multiplier * dry_base ** (length - dry_allowed_length);
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  if (temperature === 0) return { ids: [best], weights: [1] };
  const edge = top_n_sigma > 0 ? scores[best] - top_n_sigma * deviation(logits) : -Infinity;
  let ids = [...scores.keys()].filter((id) => scores[id] >= edge && scores[id] > -Infinity);
  if (top_k > 0 && top_k < ids.length) {
    const least = Float32Array.from(ids, (id) => scores[id]).sort()[ids.length - top_k];
    ids = ids.filter((id) => scores[id] >= least);
  }
  let weights = ids.map((id) => Math.exp((scores[id] - scores[best]) / temperature));
  const keep = (isKept) => {
    const kept = weights.map(isKept);
    ids = ids.filter((_, place) => kept[place]);
    weights = weights.filter((_, place) => kept[place]);
  };
  if (top_p < 1) {
    const ascending = Float64Array.from(weights).sort();
    const total = ascending.reduce((sum, weight) => sum + weight, 0);
    let gone = 0;
    for (let sum = ascending[0]; gone < ascending.length - 1 && sum <= (1 - top_p) * total; sum += ascending[gone]) gone++;
    const least = ascending[gone];
    keep((weight) => weight >= least);
  }
  if (min_p > 0) keep((weight) => weight >= min_p); // the largest weight is 1
  if (withoutLikeliest) {
    const least = xtc_threshold * weights.reduce((sum, weight) => sum + weight, 0);
    const likeliest = weights.filter((weight) => weight >= least);
    const kept = weights.indexOf(Math.min(...likeliest));
    if (likeliest.length > 1) keep((weight, place) => weight < least || place === kept);
  }
  return { ids, weights };
}

// For each token that followed an earlier occurrence of the last tokens: the length of the longest such occurrence.
function repeatedLengths(ids, breakers) {
  const longest = new Map();
  const last = ids.length - 1;
  if (last < 0 || breakers.has(ids[last])) return longest;
  for (let place = 0; place < last; place++) {
    if (ids[place] !== ids[last]) continue;
    let length = 1;
    while (length < Math.min(MAX_REPEATED, place + 1) && ids[place - length] === ids[last - length] && !breakers.has(ids[last - length])) length++;
    const follower = ids[place + 1];
    if (!breakers.has(follower)) longest.set(follower, Math.max(longest.get(follower) ?? 0, length));
  }
  return longest;
}

// The standard deviation of the finite logits.
function deviation(logits) {
  let count = 0, sum = 0, squares = 0;
  for (const logit of logits) if (Number.isFinite(logit)) { count++; sum += logit; }
  for (const logit of logits) if (Number.isFinite(logit)) squares += (logit - sum / count) ** 2;
  return Math.sqrt(squares / count);
}

// One of the tokens; a number in [0, 1) decides which.
export function draw({ ids, weights }, uniform) {
  const drawn = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  let place = 0;
  for (let sum = weights[0]; sum <= drawn && place < ids.length - 1; sum += weights[place]) place++;
  return ids[place];
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
