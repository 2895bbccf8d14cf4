/** The page's side of a worker: one file, open on one backend. */

import { Stopped } from "./measure.js";
import { Problem } from "./words.js";

/**
 * @typedef {import("./worker.js").Backend} Backend
 * @typedef {import("./worker.js").Opened} Opened
 * @typedef {import("./worker.js").Answer} Answer
 * @typedef {import("./preprocess.js").Pixels} Pixels
 * @typedef {import("./preprocess.js").How} How
 * @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting
 */

/** Broken graphics drivers give NaN, or values beyond float16. Neither can be a logit. */
const LARGEST_LOGIT = 65_504;

export class Runner {
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #number = 0;
  #worker = new Worker(new URL("worker.js", import.meta.url));
  /** @type {Error | null} */
  #closed = null;
  #title = "";

  /** @param {AbortSignal} [stop] closes the runner at once, even in the middle of an inference */
  constructor(stop) {
    stop?.addEventListener("abort", () => this.close(new Stopped()));
    this.#worker.addEventListener("message", ({ data }) => {
      const waiting = this.#waiting.get(data.number);
      this.#waiting.delete(data.number);
      if (data.error) waiting?.reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
      else waiting?.resolve(data.result);
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.close(new Error(event.message || "the background thread did not start"));
    });
  }

  /** @param {Backend} backend @param {string} file its name @param {Uint8Array} model @returns {Promise<Opened>} */
  open(backend, file, model) {
    this.#title = backend.title;
    return this.#ask("open", [backend, file, model]);
  }

  /** @param {Pixels} pixels @param {How} how @returns {Promise<Float32Array>} the model's input */
  prepare(pixels, how) {
    return this.#ask("prepare", [pixels, how], [pixels.rgba.buffer]);
  }

  /** @param {Float32Array} input @param {number} side @returns {Promise<Answer>} */
  async run(input, side) {
    /** @type {Answer} */
    const answer = await this.#ask("run", [input, side]);
    if (answer.logits.every((logit) => Math.abs(logit) <= LARGEST_LOGIT)) return answer;
    throw new Problem(
      `${this.#title} gave no numbers, so it cannot be used here. Update the browser or the driver of the graphics chip.`,
    );
  }

  /** Ends the thread, which frees all its memory. */
  close(reason = new Error("it was closed")) {
    this.#closed ??= reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  /**
   * @param {string} task @param {unknown[]} given @param {Transferable[]} moved
   * @returns {Promise<any>}
   */
  #ask(task, given, moved = []) {
    if (this.#closed) return Promise.reject(this.#closed);
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ number, task, given }, moved);
    });
  }
}
