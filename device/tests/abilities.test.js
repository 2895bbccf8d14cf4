import assert from "node:assert/strict";
import test from "node:test";

import { BROWSERS, named, SYSTEMS, usable } from "../src/abilities.js";

const DEVICE = {
  browser: "Chrome 140",
  system: "Android 15",
  model: "Pixel 9",
  cores: 8,
  memory_gb: 8,
  gpu: "arm valhall",
  secure: true,
  isolated: true,
};

/** @param {Partial<typeof DEVICE>} device @param {boolean} simd @param {string} noGraphics */
function titles(device = {}, simd = true, noGraphics = "") {
  return usable({ ...DEVICE, ...device }, simd, noGraphics).backends.map((backend) => backend.title);
}

test("a phone over https runs everything, on four threads at most", () => {
  assert.deepEqual(titles(), ["WebAssembly, 1 thread", "WebAssembly, 4 threads", "WebGPU"]);
  assert.deepEqual(titles({ cores: 2 }), ["WebAssembly, 1 thread", "WebAssembly, 2 threads", "WebGPU"]);
  assert.deepEqual(titles({ cores: 1 }), ["WebAssembly, 1 thread", "WebGPU"]);
});

test("a graphics chip says whether it computes in float16", () => {
  assert.equal(usable(DEVICE, true, "", true).backends.at(-1)?.halves, true);
  assert.equal(usable(DEVICE, true, "").backends.at(-1)?.halves, false);
});

test("over http one thread is left, and the page can say why", () => {
  const found = usable({ ...DEVICE, secure: false, isolated: false }, true, "Browsers offer it over https only.");
  assert.deepEqual(found.backends.map((backend) => backend.title), ["WebAssembly, 1 thread"]);
  assert.deepEqual(found.missing.map((lack) => lack.title), ["WebAssembly with threads", "WebGPU"]);
  assert.ok(found.missing.every((lack) => lack.reason.includes("https")));
});

test("a page inside another one is told apart from http", () => {
  const { missing } = usable({ ...DEVICE, isolated: false }, true, "");
  assert.match(missing[0].reason, /embedded in another page/);
});

test("without SIMD nothing runs", () => {
  assert.deepEqual(titles({}, false), []);
  assert.match(usable(DEVICE, false, "").missing[0].reason, /no WebAssembly SIMD/);
});

test("browsers are told apart although they all claim to be others", () => {
  const chrome = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";
  assert.equal(named(chrome, BROWSERS), "Chrome 140");
  assert.equal(named(chrome, SYSTEMS), "Android 10");
  assert.equal(named(`${chrome} EdgA/140.0`, BROWSERS), "Edge 140");
  assert.equal(named(chrome.replace("Chrome", "SamsungBrowser/28.0 Chrome"), BROWSERS), "Samsung Internet 28");
  const safari =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
  assert.equal(named(safari, BROWSERS), "Safari 18.5");
  assert.equal(named(safari, SYSTEMS), "iOS 18");
  assert.equal(named(safari.replace("Version/18.5", "CriOS/140.0"), BROWSERS), "Chrome 140");
  assert.equal(named("curl/8", BROWSERS), "");
});
