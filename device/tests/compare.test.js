import assert from "node:assert/strict";
import test from "node:test";

import { best, cosine, largestDifference, softmax } from "../src/compare.js";

test("the best is the first of the largest", () => {
  assert.equal(best([1, 3, 3, 2]), 1);
});

test("probabilities add up, also of logits that no exponential can take", () => {
  const found = softmax(Float32Array.of(1000, 999, 0));
  assert.ok(Math.abs(found[0] - 0.7310586) < 1e-6);
  assert.ok(Math.abs(found.reduce((sum, value) => sum + value, 0) - 1) < 1e-6);
});

test("equal directions have cosine 1, whatever their length", () => {
  assert.ok(Math.abs(cosine(Float32Array.of(1, 2), Float32Array.of(2, 4)) - 1) < 1e-12);
  assert.equal(cosine(Float32Array.of(1, 0), Float32Array.of(0, 1)), 0);
  assert.equal(cosine(Float32Array.of(0, 0), Float32Array.of(0, 1)), 0);
});

test("the largest difference counts in both directions", () => {
  assert.equal(largestDifference(Float32Array.of(1, 5), Float32Array.of(1.5, 2)), 3);
});
