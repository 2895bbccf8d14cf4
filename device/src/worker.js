/**
 * A runtime in a thread of its own, so that the page stays responsive. Each worker opens one file on one backend.
 *
 * It is a classic worker, because LiteRT calls importScripts, which a module may not.
 */

/**
 * @typedef {{key: "wasm" | "webgpu", threads: number, title: string}} Backend
 * @typedef {{runtimeMilliseconds: number, loadMilliseconds: number}} Opened
 * @typedef {{logits: Float32Array, milliseconds: number}} Answer
 * @typedef {import("./preprocess.js").Pixels} Pixels
 * @typedef {import("./preprocess.js").How} How
 */

/** @type {import("./runtimes.js").Ask} */
let ask;

const TASKS = {
  /** @param {Backend} backend @param {string} file its name @param {Uint8Array} model @returns {Promise<Opened>} */
  async open(backend, file, model) {
    const { RUNTIMES, runtimeOf } = await import("./runtimes.js");
    const started = performance.now();
    const load = await RUNTIMES[runtimeOf(file)](backend);
    const imported = performance.now();
    ask = await load(model);
    return { runtimeMilliseconds: imported - started, loadMilliseconds: performance.now() - imported };
  },

  /** @param {Pixels} pixels @param {How} how */
  async prepare(pixels, how) {
    const { preprocess } = await import("./preprocess.js");
    return preprocess(pixels, how);
  },

  /** @param {Float32Array} input float32, (1, 3, side, side) @param {number} side @returns {Promise<Answer>} */
  async run(input, side) {
    const started = performance.now();
    const logits = await ask(input, side);
    return { logits, milliseconds: performance.now() - started };
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
