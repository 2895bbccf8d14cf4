import assert from "node:assert/strict";
import test from "node:test";

import { Problem, quoted, sentence, small, time } from "../src/words.js";

test("an error that was foreseen speaks for itself", () => {
  assert.equal(sentence(new Problem("No. Do this.")), "No. Do this.");
});

test("every way to run out of memory is told as that", () => {
  const errors = [
    new RangeError("Array buffer allocation failed"),
    new Error("std::bad_alloc"),
    new WebAssembly.RuntimeError("memory access out of bounds"),
    new Error("Aborted(OOM)"),
    "Out of memory",
  ];
  for (const error of errors) assert.match(sentence(error), /memory of this device is too small/);
});

test("what nobody foresaw is quoted, not too long, with advice", () => {
  const told = sentence(new Error("x".repeat(5000)), "Do that.");
  assert.ok(told.length < 200);
  assert.match(told, /Do that\.$/);
});

test("what a runtime says becomes one line that a report may hold", () => {
  const told = sentence(new Error("line\n\tbreak \u001b[31m\u2028\u200b\ud800 end"), "Do that.");
  assert.equal(told, "The browser said: “line break [31m end”. Do that.");
  assert.equal(quoted("😀".repeat(200)), "😀".repeat(120));
});

test("the folders of the machine that built a runtime are nobody's business", () => {
  const said = "ERROR_MESSAGE: /mnt/azure_nvme_temp/_work/1/s/core/webgpu_context.cc:12 at C:\\agent\\src\\x.cc, see https://a.b/c/d";
  assert.match(sentence(new Error(said)), /“ERROR_MESSAGE: webgpu_context\.cc:12 at x\.cc, see https:\/\/a\.b\/c\/d”/);
});

test("times have as many digits as they deserve", () => {
  assert.deepEqual([0.456, 45.67, 456.7, 12_345].map(time), ["0.46 ms", "45.7 ms", "457 ms", "12.3 s"]);
});

test("no difference is nothing, and a small one keeps its digits", () => {
  assert.deepEqual([0, 0.00012345, 0.5].map(small), ["0", "0.00012", "0.50"]);
});
