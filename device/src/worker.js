/** ONNX Runtime in a thread of its own, so that the page stays responsive. Each worker opens one file on one backend. */

import { preprocess } from "./preprocess.js";

/**
 * @typedef {{key: "wasm" | "webgpu", threads: number, title: string}} Backend
 * @typedef {{runtimeMilliseconds: number, loadMilliseconds: number}} Opened
 * @typedef {{logits: Float32Array, milliseconds: number}} Answer
 * @typedef {import("./preprocess.js").Pixels} Pixels
 * @typedef {import("./preprocess.js").How} How
 */

const RUNTIMES = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };

/** @type {typeof import("onnxruntime-web")} */
let runtime;
/** @type {import("onnxruntime-web").InferenceSession} */
let session;

const TASKS = {
  /** @param {Backend} backend @param {Uint8Array} model @returns {Promise<Opened>} */
  async open(backend, model) {
    const started = performance.now();
    runtime = await import(new URL(`../node_modules/onnxruntime-web/dist/${RUNTIMES[backend.key]}`, import.meta.url).href);
    runtime.env.wasm.numThreads = backend.threads;
    runtime.env.logLevel = "error";
    const imported = performance.now();
    session = await runtime.InferenceSession.create(model, { executionProviders: [backend.key] });
    return { runtimeMilliseconds: imported - started, loadMilliseconds: performance.now() - imported };
  },

  /** @param {Pixels} pixels @param {How} how */
  async prepare(pixels, how) {
    return preprocess(pixels, how);
  },

  /** @param {Float32Array} input float32, (1, 3, side, side) @param {number} side @returns {Promise<Answer>} */
  async run(input, side) {
    const started = performance.now();
    const tensor = new runtime.Tensor("float32", input, [1, 3, side, side]);
    const outputs = await session.run({ [session.inputNames[0]]: tensor });
    const logits = await outputs[session.outputNames[0]].getData();
    const milliseconds = performance.now() - started;
    return { logits: Float32Array.from(/** @type {Float32Array} */ (logits)), milliseconds };
  },
};

addEventListener("message", async ({ data: { number, task, given } }) => {
  try {
    const perform = /** @type {(...given: unknown[]) => Promise<unknown>} */ (TASKS[/** @type {"run"} */ (task)]);
    postMessage({ number, result: await perform(...given) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    postMessage({ number, error: { name, message } });
  }
});
