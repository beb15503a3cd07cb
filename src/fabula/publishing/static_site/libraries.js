// The libraries, which are part of the site.

export async function libraries() {
  return {
    transformers: await import("./vendor/transformers.js"),
    wasm: { wasmPaths: { wasm: new URL("./vendor/ort-wasm-simd-threaded.wasm", import.meta.url).href } },
  };
}
