/**
 * For the comparison with Pillow: one line of JSON, a list of pictures, and the pixels of all of them as RGBA come in;
 * the model's inputs go out, one after the other.
 */

import { readFileSync, writeSync } from "node:fs";

import { preprocess } from "../src/preprocess.js";

const given = readFileSync(0);
let start = given.indexOf("\n") + 1;
for (const { width, height, how } of JSON.parse(given.subarray(0, start).toString())) {
  const end = start + width * height * 4;
  const rgba = Uint8ClampedArray.from(given.subarray(start, end));
  const input = new Uint8Array(preprocess({ width, height, rgba }, how).buffer);
  for (let written = 0; written < input.length; ) written += writeSync(1, input, written);
  start = end;
}
