// The libraries, from a CDN: one exact version of each file, which the browser refuses if its hash differs.

const FILES = @FILES@;
const IMPORTS = @IMPORTS@;

async function fetched(name) {
  const { url, integrity } = FILES[name];
  const failed = () => { throw new Error(`${url} could not be loaded, or is not the file that it should be.`); };
  const response = await fetch(url, { integrity, credentials: "omit", referrerPolicy: "no-referrer" }).catch(failed);
  return response.ok ? response : failed();
}

const asFile = (content, type) => URL.createObjectURL(new Blob([content], { type }));

export async function libraries() {
  const [script, runtime, wasm] = await Promise.all([
    fetched("transformers.js").then((file) => file.text()),
    fetched("onnxruntime.js").then((file) => file.text()),
    fetched("ort-wasm-simd-threaded.wasm").then((file) => file.arrayBuffer()),
  ]);
  const address = asFile(runtime, "text/javascript");
  const resolved = IMPORTS.reduce((text, name) => text.replace(`from"${name}"`, `from"${address}"`), script);
  return {
    transformers: await import(asFile(resolved, "text/javascript")),
    wasm: { wasmPaths: { wasm: asFile(wasm, "application/wasm") } },
  };
}
