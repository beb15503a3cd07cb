// Writes on the server that the page came from. The static site has another writer.js with the same functions, which
// writes in the visitor's own browser.

export const privacy = "What you write is sent to the machine that serves this page, which does not store it. Your browser stores your stories on this machine.";

// The server continues a text that ends in a space or in half a word.
export const healsPrompt = true;

// It writes bridges to a following text.
export const hasBridges = true;

const visitor = crypto.getRandomValues(new Uint32Array(2)).join("-");

// The page's data about the model. Calls `onProgress(share, text)` while it loads.
export async function connect(onProgress) {
  onProgress(null, "The page is loading.");
  return await (await answered(fetch("model.json"))).json();
}

// Write. Calls on.queue(ahead), on.start(unread), which says how many characters of the text the model does not read, on.piece(index, text), on.done(index, reason). Throws a sentence for the reader.
export async function write({ text, settings, seed, count, signal }, on) {
  const response = await post("write", { text, settings, seed, num_continuations: count, visitor }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let open = count;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.type === "queue") on.queue(event.ahead);
      else if (event.type === "start") on.start(event.unread);
      else if (event.type === "piece") on.piece(event.index, event.text);
      else if (event.type === "done") { open--; on.done(event.index, event.finish_reason); }
      else if (event.type === "error") throw new Error(event.message);
    }
  }
  if (open) throw new Error("The connection was lost. The text so far is kept; press Continue for more.");
}

// The passages of a text that occur in the training stories: [{start, end, where}].
export async function copies(text) {
  return await (await post("copies", { text })).json();
}

// The words that the model would write after a text, the given one first: [{text, probability, tokens: [[text, probability]]}].
export async function words({ text, word, settings }, signal) {
  return await (await post("words", { text, word, settings }, signal)).json();
}

export function post(address, body, signal) {
  return answered(fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal }));
}

export async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not respond. Is it still running?");
  }
  if (response.ok) return response;
  const { message } = await response.json().catch(() => ({}));
  throw new Error(message ?? `The server answered with error ${response.status}.`);
}
