// The libraries, which lie in the site itself.

export async function libraries() {
  return {
    transformers: await import("./vendor/transformers.js"),
    wasm: { wasmPaths: { wasm: new URL("./vendor/ort-wasm-simd-threaded.wasm", import.meta.url).href } },
  };
}
