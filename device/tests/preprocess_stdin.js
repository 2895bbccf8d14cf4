/** For the comparison with Pillow: one line of JSON and the pixels as RGBA come in, the model's input goes out. */

import { readFileSync, writeFileSync } from "node:fs";

import { preprocess } from "../src/preprocess.js";

const given = readFileSync(0);
const end = given.indexOf("\n");
const { width, height, how } = JSON.parse(given.subarray(0, end).toString());
const rgba = Uint8ClampedArray.from(given.subarray(end + 1));
writeFileSync(1, new Uint8Array(preprocess({ width, height, rgba }, how).buffer));
