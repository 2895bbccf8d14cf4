/** An error for people: one sentence on what is wrong, one on what to do. */
export class Problem extends Error {}

/** Messages of a runtime that has no memory left: V8, JavaScriptCore, SpiderMonkey, Emscripten, C++, WebGPU. */
const OUT_OF_MEMORY = /out of memory|OOM|bad_alloc|memory access out of bounds|allocation fail|failed to allocate/i;

/** The folders of a path, such as a path on the machine that built a runtime. */
const FOLDERS = /(^|[\s"'`(])(?:[A-Za-z]:)?(?:[\\/][\w.@-]+)+[\\/]/g;
const LONGEST_QUOTE = 120;

/** Text from others, shortened to one line of at most `most` characters, as a record may hold it. @param {string} text @param {number} most */
export function quoted(text, most = LONGEST_QUOTE) {
  return [...text.replace(/[\p{C}\s]+/gu, " ").trim()].slice(0, most).join("");
}

/**
 * @param {unknown} error
 * @param {string} advice what to do about an unexpected error
 * @returns {string} one or two sentences
 */
export function sentence(error, advice = "Try again; if it happens again, choose another file.") {
  if (error instanceof Problem) return error.message;
  const text = String(error instanceof Error ? error.message : error);
  if (error instanceof RangeError || OUT_OF_MEMORY.test(text)) {
    return "The memory of this device is too small for this file. Close other tabs, or choose the int8 file.";
  }
  return `The browser said: “${quoted(text.replace(FOLDERS, "$1"))}”. ${advice}`;
}

/** @param {number} milliseconds */
export function time(milliseconds) {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds >= 100 ? 0 : milliseconds >= 10 ? 1 : 2)} ms`;
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} probability */
export function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

/** A difference with two significant digits. @param {number} value */
export function small(value) {
  return value === 0 ? "0" : value.toPrecision(2);
}
