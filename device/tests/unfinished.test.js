import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";

import { begin, end, unfinished } from "../src/unfinished.js";

/** @type {Map<string, string>} */
let tab;
/** @type {EventTarget} */
let page;

/** A page in a tab, which keeps its storage. */
function load() {
  page = new EventTarget();
  const { addEventListener, removeEventListener } = page;
  Object.assign(globalThis, {
    addEventListener: addEventListener.bind(page),
    removeEventListener: removeEventListener.bind(page),
    sessionStorage: {
      getItem: (/** @type {string} */ key) => tab.get(key) ?? null,
      setItem: (/** @type {string} */ key, /** @type {string} */ value) => tab.set(key, value),
      removeItem: (/** @type {string} */ key) => tab.delete(key),
    },
  });
}

beforeEach(() => {
  tab = new Map();
  load();
});

test("a tab that crashed tells what it measured, once", () => {
  begin("ONNX");
  load();
  assert.equal(unfinished(), "ONNX");
  assert.equal(unfinished(), "");
});

test("a measurement that ended, or whose page was left, was no crash", () => {
  begin("ONNX");
  end();
  assert.equal(unfinished(), "");
  begin("ONNX");
  page.dispatchEvent(new Event("pagehide"));
  load();
  assert.equal(unfinished(), "");
});

test("a second tab knows nothing of the first, and leaves it its own", () => {
  begin("ONNX");
  const first = tab;
  tab = new Map();
  assert.equal(unfinished(), "");
  tab = first;
  assert.equal(unfinished(), "ONNX");
});

test("a browser that keeps nothing is no error", () => {
  Object.defineProperty(globalThis, "sessionStorage", {
    configurable: true,
    writable: true,
    value: { getItem: refused, setItem: refused, removeItem: refused },
  });
  begin("ONNX");
  end();
  assert.equal(unfinished(), "");
});

function refused() {
  throw new Error("SecurityError");
}
