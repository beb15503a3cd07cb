// The worker that runs the model with transformers.js.

import { libraries } from "./libraries.js";
import { candidates, randomNumbers } from "./sampling.js";

let transformers, Draw, stopping, model, tokenizer, engine;

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

// Draws each token with fabula's own rules, and makes it the only possible token for transformers.js.
const drawing = ({ LogitsProcessor }) => class extends LogitsProcessor {
  constructor(settings, random) {
    super();
    this.settings = settings;
    this.random = random;
  }

  _call(inputIds, logits) {
    for (let row = 0; row < inputIds.length; row++) {
      const scores = logits[row].data;
      const { ids, weights } = candidates(scores, this.settings, inputIds[row].map(Number));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const drawn = this.random() * total;
      let place = 0;
      for (let sum = weights[0]; sum <= drawn && place < ids.length - 1; sum += weights[place]) place++;
      scores.fill(-Infinity);
      scores[ids[place]] = 0;
    }
    return logits;
  }
};

async function load(id, wanted) {
  engine = wanted;
  const tell = (share, text) => postMessage({ id, type: "progress", share, text });
  tell(0, "The model is loading into your browser.");
  await prepare();
  tokenizer = await transformers.AutoTokenizer.from_pretrained("model");
  model = await transformers.AutoModelForCausalLM.from_pretrained("model", {
    dtype: engine.dtype,
    device: "wasm",
    progress_callback: ({ status, file, loaded, total }) => {
      if (status === "progress" && file.endsWith(".onnx") && total)
        tell(loaded / total, `The model is loading into your browser: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB.`);
    },
  });
  tell(1, "The model is starting.");
  await generate("a", { max_new_tokens: 1, temperature: 0, repetition_penalty: 1 }, 0, () => {});
}

// One continuation. Returns why it ended.
async function generate(text, settings, seed, onText) {
  let ids = tokenizer.encode(text, { add_special_tokens: false });
  const room = Math.min(settings.max_new_tokens, Math.floor(engine.context_length / 2));
  ids = [engine.start_id, ...ids];
  if (ids.length + room > engine.context_length) ids = ids.slice(-Math.floor(engine.context_length / 2)); // the end of the story is all it sees
  const { LogitsProcessorList, Tensor, TextStreamer } = transformers;
  const row = BigInt64Array.from(ids, BigInt);
  const shape = [1, ids.length];
  const processors = new LogitsProcessorList();
  processors.push(new Draw(settings, randomNumbers(seed)));
  let ended = false;
  const output = await model.generate({
    input_ids: new Tensor("int64", row, shape),
    attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
    max_new_tokens: room,
    do_sample: false,
    top_k: 0,
    repetition_penalty: 1,
    logits_processor: processors,
    stopping_criteria: stopping,
    streamer: new TextStreamer(tokenizer, { skip_prompt: true, skip_special_tokens: true, callback_function: onText }),
  });
  const last = Number(output.tolist()[0].at(-1));
  ended = engine.end_ids.includes(last);
  return ended ? "end" : "length";
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
