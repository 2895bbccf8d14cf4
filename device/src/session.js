/** One measurement: each chosen file, on each backend that works here. */

import { best, cosine, largestDifference } from "./compare.js";
import { download } from "./download.js";
import { rounds, Stopped } from "./measure.js";
import { copyOf } from "./pixels.js";
import { Runner } from "./runner.js";
import { Problem, sentence } from "./words.js";

/**
 * @typedef {import("./worker.js").Backend} Backend
 * @typedef {import("./worker.js").Answer} Answer
 * @typedef {import("./download.js").ModelFile & {int8: boolean, backends: string[]}} ModelFile `backends` are the keys of
 *   those that run the file.
 * @typedef {import("./compare.js").Comparison} Comparison
 * @typedef {import("./preprocess.js").How} How
 * @typedef {import("./preprocess.js").Pixels} Pixels
 * @typedef {{input: Float32Array, logits: Float32Array}} Expected The server's input for the picture, and its answer.
 *
 * @typedef {object} Row The measurement of one file on one backend, with the names of the records.
 * @property {string} format
 * @property {number} bytes
 * @property {string} sha256
 * @property {"wasm" | "webgpu"} backend
 * @property {number} threads
 * @property {number | null} download_ms null if no whole download was timed in the foreground
 * @property {number} runtime_ms
 * @property {number} load_ms
 * @property {number} first_ms
 * @property {number[]} samples_ms
 * @property {number} discarded rounds that were dropped because the page was in the background
 * @property {Comparison | null} compared
 *
 * @typedef {{format: string, backend: string, threads: number, reason: string}} Failure
 *
 * @typedef {object} Stage What the page shows and provides during the measurement.
 * @property {(text: string, done: number) => void} told
 * @property {(note: string) => void} noted
 * @property {(answer: Answer, file: ModelFile, backend: Backend) => void} answered the first answer of each
 * @property {(row: Row) => void} measured
 * @property {(failure: Failure) => void} failed
 * @property {(file: ModelFile, stop: AbortSignal) => Promise<Expected | null>} expected the server's answer; null if
 *   there is none, or the person stopped
 * @property {Promise<Pixels>} pixels the picture, which arrives while the file is downloaded
 */

const ADVICE = {
  wasm: "Close other tabs and start again, or choose the smaller file.",
  webgpu: "The times of WebAssembly stand; start again to give the graphics chip another try.",
};

/** The shortest round that a clock must be able to measure, in milliseconds. */
const LEAST_MILLISECONDS = 0.001;

/** Watches whether the page stays in the foreground, because a browser slows down pages in the background. */
export class Attention {
  #wasHidden = document.hidden;
  #waiting;

  /** @param {() => void} waiting called before waiting for the page to be in the foreground */
  constructor(waiting) {
    this.#waiting = waiting;
    document.addEventListener("visibilitychange", () => (this.#wasHidden ||= document.hidden));
  }

  /** Whether the page was in the background at any time since the last call. */
  isHidden() {
    const was = this.#wasHidden;
    this.#wasHidden = document.hidden;
    return was;
  }

  /** @returns {Promise<void>} */
  shown() {
    if (!document.hidden) return Promise.resolve();
    this.#waiting();
    return new Promise((resolve) => {
      const look = () => {
        if (document.hidden) return;
        document.removeEventListener("visibilitychange", look);
        resolve();
      };
      document.addEventListener("visibilitychange", look);
    });
  }
}

/**
 * @param {ModelFile[]} files @param {Backend[]} backends @param {How} how @param {Stage} stage @param {AbortSignal} stop
 * @throws {Error} if a file or the picture does not arrive, or the person stopped
 */
export async function measure(files, backends, how, stage, stop) {
  const running = (/** @type {ModelFile} */ file) => backends.filter(({ key }) => file.backends.includes(key));
  const steps = files.reduce((sum, file) => sum + 1 + running(file).length, 0);
  let step = 0;
  const attention = new Attention(() => stage.told("Waiting: this tab is in the background", step / steps));
  for (const file of files) {
    const share = (/** @type {number} */ done) => (step + done) / steps;
    attention.isHidden();
    const got = await download(
      file,
      (received) => stage.told(`Downloading ${file.title}`, share(received / file.bytes)),
      stop,
    );
    if (attention.isHidden()) got.milliseconds = null;
    if (got.note) stage.noted(got.note);
    await stage.pixels;
    step += 1;
    for (const backend of running(file)) {
      const told = (/** @type {string} */ doing, /** @type {number} */ done) =>
        stage.told(`${doing} ${file.title} on ${backend.title}`, share(done));
      try {
        stage.measured(await measureOne(file, got, backend, how, stage, told, attention, stop));
      } catch (error) {
        if (stop.aborted) throw error;
        const { key, threads } = backend;
        stage.failed({ format: file.key, backend: key, threads, reason: sentence(error, ADVICE[key]) });
      }
      step += 1;
    }
  }
}

/**
 * @param {ModelFile} file @param {import("./download.js").Download} got @param {Backend} backend @param {How} how
 * @param {Stage} stage @param {(doing: string, done: number) => void} told
 * @param {Attention} attention @param {AbortSignal} stop
 * @returns {Promise<Row>}
 */
async function measureOne(file, got, backend, how, stage, told, attention, stop) {
  told("Loading", 0);
  const { runner, opened, input, first } = await openInFront(backend, file, got.bytes, how, stage, attention, stop);
  try {
    stage.answered(first, file, backend);
    const watch = {
      isHidden: () => attention.isHidden(),
      shown: () => attention.shown(),
      isStopped: () => stop.aborted,
      now: () => performance.now(),
      told: (/** @type {number} */ done) => told("Timing", done),
    };
    const timed = await rounds(async () => (await runner.run(input, how.crop)).milliseconds, watch);
    if (Math.min(...timed.samples) < LEAST_MILLISECONDS) {
      throw new Problem(
        "This browser's clock is too coarse to time this file. Turn off its protection against fingerprinting for this " +
          "page, or open another browser.",
      );
    }
    told("Comparing", 1);
    const expected = await stage.expected(file, stop);
    if (stop.aborted) throw new Stopped();
    return {
      format: file.key,
      bytes: file.bytes,
      sha256: file.sha256,
      backend: backend.key,
      threads: backend.threads,
      download_ms: got.milliseconds,
      runtime_ms: opened.runtimeMilliseconds,
      load_ms: opened.loadMilliseconds,
      first_ms: first.milliseconds,
      samples_ms: timed.samples,
      discarded: timed.discarded,
      compared: await compare(runner, input, first, expected, how),
    };
  } finally {
    runner.close();
  }
}

/**
 * Opens the file and runs it once; does both again if the page was in the background meanwhile.
 *
 * @param {Backend} backend @param {ModelFile} file @param {Uint8Array} model @param {How} how @param {Stage} stage
 * @param {Attention} attention @param {AbortSignal} stop
 */
async function openInFront(backend, file, model, how, stage, attention, stop) {
  for (;;) {
    if (stop.aborted) throw new Stopped();
    await attention.shown();
    attention.isHidden();
    const runner = new Runner(stop);
    try {
      const opened = await runner.open(backend, file.file, model);
      const input = await runner.prepare(copyOf(await stage.pixels), how);
      const first = await runner.run(input, how.crop);
      if (!attention.isHidden()) return { runner, opened, input, first };
    } catch (error) {
      runner.close();
      throw error;
    }
    runner.close();
  }
}

/**
 * Compares the logits of both runtimes for the server's input, and their classes for each one's own input.
 *
 * @param {Runner} runner @param {Float32Array} input @param {Answer} first @param {Expected | null} expected
 * @param {How} how
 * @returns {Promise<Comparison | null>}
 */
async function compare(runner, input, first, expected, how) {
  if (!expected) return null;
  const { logits } = await runner.run(expected.input, how.crop);
  return {
    cosine: cosine(logits, expected.logits),
    max_abs_difference: largestDifference(logits, expected.logits),
    same_top1: best(first.logits) === best(expected.logits),
    input_difference: largestDifference(input, expected.input),
  };
}
