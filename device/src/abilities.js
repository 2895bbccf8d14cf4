/** What this device and its browser are and can do, as far as a page can find out. */

import { quoted } from "./words.js";

/**
 * @typedef {import("./worker.js").Backend} Backend
 * @typedef {{browser: string, system: string, model: string, cores: number | null, memory_gb: number | null,
 *   gpu: string, secure: boolean, isolated: boolean}} Device
 * @typedef {{title: string, reason: string}} Missing
 * @typedef {{device: Device, backends: Backend[], missing: Missing[]}} Abilities
 */

const MOST_THREADS = 4;

/** A WebAssembly module that adds two SIMD vectors. It is valid only if the browser supports SIMD. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** The first match names the browser, because most browsers also claim to be others. @type {[RegExp, string][]} */
const BROWSERS = [
  [/Edg(?:A|iOS)?\/(\d+)/, "Edge"],
  [/OPR\/(\d+)/, "Opera"],
  [/SamsungBrowser\/(\d+)/, "Samsung Internet"],
  [/(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/(?:Chrome|CriOS|HeadlessChrome)\/(\d+)/, "Chrome"],
  [/Version\/(\d+(?:\.\d+)?).*Safari/, "Safari"],
];

/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/Android (\d+)/, "Android"],
  [/(?:iPhone|iPad).* OS (\d+)/, "iOS"],
  [/Windows NT (\d+)/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** @returns {Promise<Abilities>} */
export async function abilities() {
  const cores = navigator.hardwareConcurrency || null;
  const graphics = await findGraphics();
  const device = {
    browser: named(navigator.userAgent, BROWSERS) || "an unknown browser",
    system: named(navigator.userAgent, SYSTEMS) || "an unknown system",
    model: quoted(await model()),
    cores,
    memory_gb: /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory ?? null,
    gpu: quoted(graphics.name),
    secure: isSecureContext,
    isolated: crossOriginIsolated,
  };
  return { device, ...usable(device, hasSimd(), graphics.reason) };
}

/**
 * @param {Device} device @param {boolean} simd @param {string} noGraphics why there is no WebGPU; empty if there is
 * @returns {{backends: Backend[], missing: Missing[]}}
 */
export function usable(device, simd, noGraphics) {
  if (!simd) {
    const reason = "This browser has no WebAssembly SIMD, which every runtime needs. Update it, or open another one.";
    return { backends: [], missing: [{ title: "WebAssembly", reason }] };
  }
  /** @type {Backend[]} */
  const backends = [{ key: "wasm", threads: 1, title: "WebAssembly, 1 thread" }];
  /** @type {Missing[]} */
  const missing = [];
  const threads = Math.min(device.cores ?? 1, MOST_THREADS);
  if (!device.isolated) {
    const reason = device.secure
      ? "The page is not cross-origin isolated here: it is embedded in another page, or a proxy drops its headers."
      : "Browsers share memory between threads over https only.";
    missing.push({ title: "WebAssembly with threads", reason });
  } else if (threads > 1) {
    backends.push({ key: "wasm", threads, title: `WebAssembly, ${threads} threads` });
  } else {
    missing.push({ title: "WebAssembly with threads", reason: "The browser tells of one processor core only." });
  }
  if (noGraphics) missing.push({ title: "WebGPU", reason: noGraphics });
  else backends.push({ key: "webgpu", threads: 1, title: "WebGPU" });
  return { backends, missing };
}

/** @param {string} agent @param {[RegExp, string][]} known */
export function named(agent, known) {
  for (const [pattern, name] of known) {
    const found = pattern.exec(agent);
    if (found) return found[1] ? `${name} ${found[1]}` : name;
  }
  return "";
}

export { BROWSERS, SYSTEMS };

function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(SIMD);
}

/** The device's model. Only Chromium tells it, and only over https. */
async function model() {
  /** @typedef {{getHighEntropyValues: (names: string[]) => Promise<{model?: string}>}} AgentData */
  const data = /** @type {{userAgentData?: AgentData}} */ (navigator).userAgentData;
  const found = await data?.getHighEntropyValues(["model"]).catch(() => undefined);
  return found?.model ?? "";
}

async function findGraphics() {
  if (!isSecureContext) return { name: "", reason: "Browsers offer it over https only." };
  const { gpu } = /** @type {{gpu?: {requestAdapter: () => Promise<any>}}} */ (navigator);
  if (!gpu) return { name: "", reason: "This browser has none." };
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return { name: "", reason: "The browser finds no graphics chip that it may use." };
  const { vendor, architecture, description } = adapter.info ?? {};
  return { name: description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed", reason: "" };
}
