import assert from "node:assert/strict";
import test from "node:test";

import { rounds, statistics, Stopped } from "../src/measure.js";

const BUDGET = { warmUp: 2, least: 5, most: 10, milliseconds: 100 };

/** A device whose clock moves only while it works, and whose page may be hidden in some rounds. */
class Bench {
  clock = 0;
  count = 0;
  hiddenIn = new Set();
  returns = 0;
  /** @type {number[]} */
  told = [];
  stopAfter = Infinity;

  /** @param {number} milliseconds */
  once = (milliseconds) => async () => {
    this.count += 1;
    this.clock += milliseconds;
    return milliseconds + this.count / 1000;
  };

  watch = {
    isHidden: () => this.hiddenIn.has(this.count),
    shown: async () => {
      this.returns += 1;
    },
    isStopped: () => this.count >= this.stopAfter,
    now: () => this.clock,
    told: (/** @type {number} */ done) => void this.told.push(done),
  };
}

test("a slow model is measured at least so often, a fast one until the most", async () => {
  const slow = new Bench();
  assert.equal((await rounds(slow.once(500), slow.watch, BUDGET)).samples.length, 5);
  const fast = new Bench();
  assert.equal((await rounds(fast.once(1), fast.watch, BUDGET)).samples.length, 10);
  const middling = new Bench();
  assert.equal((await rounds(middling.once(15), middling.watch, BUDGET)).samples.length, 7);
});

test("the first rounds warm up and are not counted", async () => {
  const bench = new Bench();
  const found = await rounds(bench.once(500), bench.watch, BUDGET);
  assert.deepEqual(found.samples, [500.003, 500.004, 500.005, 500.006, 500.007]);
  assert.equal(found.discarded, 0);
});

test("what was timed in the background is dropped, and the device warms up again", async () => {
  const bench = new Bench();
  bench.hiddenIn = new Set([4]);
  const found = await rounds(bench.once(500), bench.watch, BUDGET);
  assert.deepEqual(found.samples, [500.003, 500.007, 500.008, 500.009, 500.01]);
  assert.equal(found.discarded, 1);
  assert.equal(bench.returns, 1);
});

test("progress only grows, up to the whole", async () => {
  const bench = new Bench();
  await rounds(bench.once(15), bench.watch, BUDGET);
  assert.deepEqual(bench.told, [...bench.told].sort((one, other) => one - other));
  assert.equal(bench.told.at(-1), 1);
});

test("a person may stop it", async () => {
  const bench = new Bench();
  bench.stopAfter = 4;
  await assert.rejects(rounds(bench.once(1), bench.watch, BUDGET), Stopped);
});

test("statistics are numpy's", () => {
  const found = statistics([5, 1, 4, 2, 3, 10]);
  assert.equal(found.median, 3.5);
  assert.equal(found.p95, 8.75);
  assert.equal(found.spread, 2.5);
  assert.deepEqual(statistics([7]), { median: 7, p95: 7, spread: 0 });
});
