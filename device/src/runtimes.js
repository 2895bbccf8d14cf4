/** The runtimes that run a model's file here: how each starts, by the end of the files that it reads. */

/**
 * @typedef {import("./worker.js").Backend} Backend
 * @typedef {(input: Float32Array, side: number) => Promise<Float32Array>} Ask from a float32 (1, 3, side, side) to logits
 * @typedef {(model: Uint8Array) => Promise<Ask>} Load
 */

const MODULES = new URL("../node_modules/", import.meta.url);
const ORT = new URL("onnxruntime-web/dist/", MODULES);
const ORT_SCRIPTS = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };
const LITERT = new URL("@litertjs/core/", MODULES);
const LITERT_WASM = new URL("wasm/", LITERT).href;
const LITERT_THREADS = `${LITERT_WASM}litert_wasm_threaded_internal.js`;

/** @type {Record<string, (backend: Backend) => Promise<Load>>} */
export const RUNTIMES = { onnx: onnxRuntime, tflite: litert };

/** @param {string} file the name of a file @returns {string} a key of `RUNTIMES` */
export function runtimeOf(file) {
  return file.slice(file.lastIndexOf(".") + 1);
}

/** @param {Backend} backend @returns {Promise<Load>} */
async function onnxRuntime(backend) {
  /** @type {typeof import("onnxruntime-web")} */
  const runtime = await import(new URL(ORT_SCRIPTS[backend.key], ORT).href);
  runtime.env.wasm.numThreads = backend.threads;
  runtime.env.logLevel = "error";
  return async (model) => {
    const session = await runtime.InferenceSession.create(model, { executionProviders: [backend.key] });
    return async (input, side) => {
      const tensor = new runtime.Tensor("float32", input, [1, 3, side, side]);
      const outputs = await session.run({ [session.inputNames[0]]: tensor });
      return Float32Array.from(/** @type {Float32Array} */ (await outputs[session.outputNames[0]].getData()));
    };
  };
}

/** @param {Backend} backend @returns {Promise<Load>} */
async function litert({ threads }) {
  const runtime = await importLitert();
  // It would open the graphics chip at its start, which it does not use here.
  Object.defineProperty(navigator, "gpu", { value: undefined });
  // In a worker, its script cannot tell where it came from.
  Object.assign(globalThis, {
    Module: { locateFile: (/** @type {string} */ name) => LITERT_WASM + name, mainScriptUrlOrBlob: LITERT_THREADS },
  });
  await runtime.loadLiteRt(LITERT_WASM, { threads: threads > 1 });
  return async (model) => {
    const compiled = await runtime.loadAndCompile(model, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
    return async (input, side) => {
      const tensor = new runtime.Tensor(input, [1, 3, side, side]);
      const [answer] = await compiled.run(tensor);
      const logits = Float32Array.from(answer.toTypedArray());
      tensor.delete();
      answer.delete();
      return logits;
    };
  };
}

/**
 * Imports LiteRT.js. It names another package, which only a bundler or an import map would find, and workers have no map.
 *
 * @returns {Promise<typeof import("@litertjs/core")>}
 */
async function importLitert() {
  const script = await (await fetch(new URL("dist/index.js", LITERT))).text();
  const utilities = new URL("@litertjs/wasm-utils/dist/index.js", MODULES).href;
  const complete = script.replace('"@litertjs/wasm-utils"', JSON.stringify(utilities));
  const address = URL.createObjectURL(new Blob([complete], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}
