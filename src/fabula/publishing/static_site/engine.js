// The worker that runs the model with transformers.js.

import { libraries } from "./libraries.js";
import { MAX_MORE_TOKENS, Passage, reading } from "./passage.js";
import { randomNumbers } from "./sampling.js";
import { Vocabulary } from "./vocabulary.js";

let transformers, Draw, stopping, model, tokenizer, vocabulary, engine;

async function prepare() {
  const loaded = await libraries();
  transformers = loaded.transformers;
  const { env } = transformers;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = new URL("./", import.meta.url).pathname; // a whole address would be taken for a remote model
  env.useBrowserCache = false; // offline.js keeps the files
  env.useWasmCache = false;
  Object.assign(env.backends.onnx.wasm, loaded.wasm, { numThreads: 1 });
  Draw = drawing(transformers);
  stopping = new transformers.InterruptableStoppingCriteria();
}

// Draws each token with fabula's own rules, and makes it the only possible token for transformers.js. A passage that has ended, or has to be read again, ends here.
const drawing = ({ LogitsProcessor }) => class extends LogitsProcessor {
  constructor(passage, onText) {
    super();
    this.passage = passage;
    this.onText = onText;
  }

  _call(inputIds, logits) {
    const scores = logits[0].data;
    this.onText(this.passage.draw(scores));
    const isOver = this.passage.reason !== null || this.passage.mustReread;
    const id = isOver ? engine.end_ids[0] : this.passage.ids.at(-1);
    scores.fill(-Infinity);
    scores[id] = 0;
    return logits;
  }
};

async function load(id, wanted) {
  engine = wanted;
  const tell = (share, text) => postMessage({ id, type: "progress", share, text });
  tell(0, "The model is loading into your browser.");
  await prepare();
  tokenizer = await transformers.AutoTokenizer.from_pretrained("model");
  vocabulary = new Vocabulary(await (await fetch("model/tokenizer.json")).json());
  model = await transformers.AutoModelForCausalLM.from_pretrained("model", {
    dtype: engine.dtype,
    device: "wasm",
    progress_callback: ({ status, file, loaded, total }) => {
      if (status === "progress" && file.endsWith(".onnx") && total)
        tell(loaded / total, `The model is loading into your browser: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB.`);
    },
  });
  tell(1, "The model is starting.");
  await generate("a", { max_new_tokens: 1, temperature: 0 }, 0, () => {});
}

// One continuation. Returns why it ended.
async function generate(text, settings, seed, onText) {
  const encode = (part) => tokenizer.encode(part, { add_special_tokens: false });
  const numMore = settings.whole_sentences ? Math.min(MAX_MORE_TOKENS, Math.floor(engine.context_length / 4)) : 0;
  const numTokens = Math.min(settings.max_new_tokens, Math.floor(engine.context_length / 2) - numMore);
  const read = reading({ text, memory: settings.memory, note: settings.note, numTokens: numTokens + numMore }, { encode, vocabulary, engine });
  const passage = new Passage({
    text,
    ids: [engine.start_id, ...encode(text)],
    vocabulary,
    settings: { ...settings, max_new_tokens: numTokens },
    endIds: engine.end_ids,
    random: randomNumbers(seed),
    numMore,
    decode: (ids) => tokenizer.decode(ids, { skip_special_tokens: true }),
  });
  const { LogitsProcessorList, Tensor } = transformers;
  while (passage.reason === null && !stopping.interrupted) {
    passage.mustReread = false;
    const ids = [...read, ...passage.ids];
    const shape = [1, ids.length];
    const processors = new LogitsProcessorList();
    processors.push(new Draw(passage, onText));
    await model.generate({
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
      attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
      max_new_tokens: numTokens + numMore - passage.ids.length,
      eos_token_id: engine.end_ids,
      do_sample: false,
      top_k: 0,
      repetition_penalty: 1,
      logits_processor: processors,
      stopping_criteria: stopping,
    });
  }
  return passage.reason ?? "length";
}

async function write(id, { text, settings, seed, count }) {
  stopping.reset();
  const first = seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
  for (let index = 0; index < count && !stopping.interrupted; index++) {
    const reason = await generate(text, settings, first + index, (piece) => { if (piece) postMessage({ id, type: "piece", index, text: piece }); });
    postMessage({ id, type: "done", index, reason });
  }
}

self.addEventListener("message", async ({ data }) => {
  if (data.type === "stop") return stopping?.interrupt();
  try {
    if (data.type === "load") await load(data.id, data.engine);
    else await write(data.id, data);
    postMessage({ id: data.id, type: "end" });
  } catch (error) {
    postMessage({ id: data.id, type: "error", message: `The model failed: ${error.message}` });
  }
});
