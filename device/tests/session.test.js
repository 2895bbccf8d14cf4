import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { beforeEach } from "node:test";

import { Stopped } from "../src/measure.js";
import { measure } from "../src/session.js";

/**
 * @typedef {import("../src/session.js").Stage} Stage
 * @typedef {import("../src/session.js").Row} Row
 * @typedef {import("../src/session.js").Failure} Failure
 * @typedef {import("../src/worker.js").Backend} Backend
 */

const CONTENT = Uint8Array.of(1, 2, 3);
const FILE = {
  key: "onnx",
  title: "ONNX",
  file: "demo.onnx",
  url: "demo.onnx",
  bytes: CONTENT.length,
  sha256: createHash("sha256").update(CONTENT).digest("hex"),
  int8: false,
  backends: ["wasm", "webgpu"],
};
/** @type {Backend[]} */
const BACKENDS = [
  { key: "wasm", threads: 1, title: "WebAssembly, 1 thread" },
  { key: "webgpu", threads: 1, title: "WebGPU" },
];
const HOW = /** @type {any} */ ({ crop: 1 });
const EXPECTED = { input: Float32Array.of(1), logits: Float32Array.of(1, 2) };

/** What each backend answers, and in how many milliseconds. @type {Record<string, {logits: number[], milliseconds: number}>} */
let answers;

/** A worker whose backend answers as `answers` says. */
class FakeWorker extends EventTarget {
  #backend = "";

  /** @param {{number: number, task: string, given: any[]}} asked */
  postMessage({ number, task, given }) {
    if (task === "open") this.#backend = given[0].key;
    const { logits, milliseconds } = answers[this.#backend];
    const result = {
      open: { runtimeMilliseconds: 1, loadMilliseconds: 1 },
      prepare: Float32Array.of(1),
      run: { logits: Float32Array.from(logits), milliseconds },
    }[task];
    setTimeout(() => this.dispatchEvent(Object.assign(new Event("message"), { data: { number, result } })));
  }

  terminate() {}
}

/** @type {Row[]} */
let rows;
/** @type {Failure[]} */
let failures;
/** @type {string[]} */
let told;

/** @param {Partial<Stage>} stage @returns {Stage} */
function staged(stage = {}) {
  return {
    told: (text) => void told.push(text),
    noted: () => {},
    answered: () => {},
    measured: (row) => void rows.push(row),
    failed: (failure) => void failures.push(failure),
    expected: async () => EXPECTED,
    pixels: Promise.resolve({ width: 1, height: 1, rgba: new Uint8ClampedArray(4) }),
    ...stage,
  };
}

beforeEach(() => {
  [rows, failures, told] = [[], [], []];
  answers = { wasm: { logits: [1, 2], milliseconds: 1 }, webgpu: { logits: [1, 2], milliseconds: 1 } };
  globalThis.Worker = /** @type {any} */ (FakeWorker);
  globalThis.document = /** @type {any} */ (Object.assign(new EventTarget(), { hidden: false }));
  globalThis.fetch = async () => new Response(CONTENT);
});

test("each file is measured on each backend", async () => {
  await measure([FILE], BACKENDS, HOW, staged(), new AbortController().signal);
  assert.deepEqual(rows.map((row) => row.backend), ["wasm", "webgpu"]);
  assert.equal(rows[0].compared?.max_abs_difference, 0);
  assert.deepEqual(failures, []);
});

test("who stops while the server is asked gets no row", async () => {
  const stop = new AbortController();
  const stage = staged({
    expected: async () => {
      stop.abort();
      return null;
    },
  });
  await assert.rejects(measure([FILE], BACKENDS, HOW, stage, stop.signal), Stopped);
  assert.deepEqual([rows, failures], [[], []]);
});

test("a picture that cannot be had ends it, and is no backend's failure", async () => {
  const stage = staged({ pixels: Promise.reject(new Error("no picture")) });
  await assert.rejects(measure([FILE], BACKENDS, HOW, stage, new AbortController().signal), /no picture/);
  assert.deepEqual([rows, failures], [[], []]);
});

test("a backend that gives no numbers fails alone", async () => {
  answers.webgpu.logits = [NaN, 2];
  await measure([FILE], BACKENDS, HOW, staged(), new AbortController().signal);
  assert.deepEqual(rows.map((row) => row.backend), ["wasm"]);
  assert.match(failures[0].reason, /^WebGPU gave no numbers, so it cannot be used here\./);
});

test("a clock that tells no time is told, instead of a row that nobody can save", async () => {
  answers.wasm.milliseconds = 0;
  await measure([FILE], [BACKENDS[0]], HOW, staged(), new AbortController().signal);
  assert.deepEqual(rows, []);
  assert.match(failures[0].reason, /clock is too coarse/);
});

test("a download in the background is not timed, and the wait is told", async () => {
  const page = /** @type {any} */ (globalThis.document);
  const turn = (/** @type {boolean} */ hidden) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  globalThis.fetch = async () => {
    turn(true);
    setTimeout(() => turn(false), 20);
    return new Response(CONTENT);
  };
  await measure([FILE], [BACKENDS[0]], HOW, staged(), new AbortController().signal);
  assert.equal(rows[0].download_ms, null);
  assert.ok(told.includes("Waiting: this tab is in the background"));
});
