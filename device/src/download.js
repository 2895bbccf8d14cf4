/** Downloads a built file from the server: resumes where it broke off, checks the hash, and keeps it in the browser. */

import { sha256 } from "../node_modules/@noble/hashes/sha2.js";
import { bytesToHex } from "../node_modules/@noble/hashes/utils.js";

import { Problem, quoted, sentence } from "./words.js";

/**
 * @typedef {{key: string, title: string, file: string, url: string, bytes: number, sha256: string}} ModelFile
 * @typedef {{bytes: Uint8Array, milliseconds: number | null, note: string}} Download `milliseconds` is null if the
 *   browser already had the file, or part of it; `note` says what else a person should know.
 * @typedef {(received: number) => void} Told
 * @typedef {Pick<CacheStorage, "open">} Storage
 * @typedef {{received: number, bytes: Uint8Array}} Part
 */

const CACHE = "deit-deploy-files";
const TRIES = 4;
const PAUSE_MILLISECONDS = 500;
/** The longest part of a server's refusal that is shown, in characters. */
const LONGEST_ANSWER = 400;

/** The part of each file that has arrived, so that a download goes on where it broke off. @type {Map<string, Part>} */
const parts = new Map();

/**
 * @param {ModelFile} file
 * @param {Told} told
 * @param {AbortSignal} stopped
 * @param {Storage | undefined} storage the browser's caches, if the page may use them
 * @param {number} pause
 * @returns {Promise<Download>}
 * @throws {Problem} if the file does not arrive whole
 */
export async function download(file, told, stopped, storage = globalThis.caches, pause = PAUSE_MILLISECONDS) {
  const cache = storage && (await storage.open(CACHE).catch(() => undefined));
  const held = await cache?.match(address(file));
  if (held) {
    const bytes = new Uint8Array(await held.arrayBuffer());
    if (isWhole(bytes, file)) return { bytes, milliseconds: null, note: "" };
    await cache?.delete(address(file));
  }
  const isResumed = parts.has(file.sha256);
  const started = performance.now();
  const bytes = await receive(file, told, stopped, pause);
  const milliseconds = isResumed ? null : performance.now() - started;
  return { bytes, milliseconds, note: cache ? await keep(cache, file, bytes) : "" };
}

/** @param {ModelFile} file @param {Storage | undefined} storage */
export async function isKept(file, storage = globalThis.caches) {
  const cache = storage && (await storage.open(CACHE).catch(() => undefined));
  return Boolean(await cache?.match(address(file)));
}

/** Removes every file that the browser keeps for this page. */
export async function forgetFiles() {
  await globalThis.caches?.delete(CACHE);
}

/** The key of a file in the browser's cache: its hash, so that the server's name for it does not matter. @param {ModelFile} file */
function address(file) {
  return `/kept/${file.sha256}`;
}

/** @param {Uint8Array} bytes @param {ModelFile} file */
function isWhole(bytes, file) {
  return bytes.length === file.bytes && bytesToHex(sha256(bytes)) === file.sha256;
}

/** @param {ModelFile} file @param {Told} told @param {AbortSignal} stopped @param {number} pause */
async function receive(file, told, stopped, pause) {
  const part = parts.get(file.sha256) ?? { received: 0, bytes: new Uint8Array(file.bytes) };
  parts.set(file.sha256, part);
  for (let failures = 0; part.received < file.bytes; ) {
    const before = part.received;
    try {
      await receivePart(file, part, told, stopped);
    } catch (error) {
      if (stopped.aborted || error instanceof Problem) throw error;
    }
    failures = part.received > before ? 0 : failures + 1;
    if (failures === TRIES) {
      throw new Problem(
        `The download of ${file.file} broke off after ${part.received} of ${file.bytes} bytes. ` +
          "Press start again: it goes on from there.",
      );
    }
    if (part.received < file.bytes) await new Promise((resolve) => setTimeout(resolve, pause * 2 ** failures));
  }
  parts.delete(file.sha256);
  if (!isWhole(part.bytes, file)) {
    throw new Problem(`${file.file} did not arrive as it was sent. Press start again: it is downloaded anew.`);
  }
  return part.bytes;
}

/** @param {ModelFile} file @param {Part} part @param {Told} told @param {AbortSignal} stopped */
async function receivePart(file, part, told, stopped) {
  /** @type {HeadersInit} */
  const headers = part.received ? { Range: `bytes=${part.received}-`, "If-Range": `"${file.sha256}"` } : {};
  const answer = await fetch(file.url, { headers, signal: stopped, cache: "no-store" });
  if (answer.status === 404) throw new Problem("The server does not have this file any more. Reload the page.");
  if (answer.status === 503 && answer.headers.get("Content-Type")?.startsWith("text/plain")) {
    throw new Problem(quoted(await answer.text(), LONGEST_ANSWER));
  }
  if (!answer.ok || !answer.body) throw new Error(`HTTP ${answer.status}`);
  if (answer.status !== 206) part.received = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    if (part.received + value.length > file.bytes) {
      parts.delete(file.sha256);
      throw new Problem(`${file.file} is longer than the server said. Reload the page.`);
    }
    part.bytes.set(value, part.received);
    part.received += value.length;
    told(part.received);
  }
}

/**
 * Keeps a file; if there is no room, removes all others first. Returns a note if it cannot keep the file.
 *
 * @param {Cache} cache @param {ModelFile} file @param {Uint8Array} bytes
 */
async function keep(cache, file, bytes) {
  const put = () => cache.put(address(file), new Response(/** @type {BufferSource} */ (bytes)));
  try {
    await put();
    return "";
  } catch {
    try {
      for (const other of await cache.keys()) await cache.delete(other);
      await put();
      return "";
    } catch (error) {
      const full = error instanceof Error && error.name === "QuotaExceededError";
      return full
        ? "The browser has no room to keep this file. It works all the same, and is downloaded again next time."
        : `The browser did not keep this file. ${sentence(error)}`;
    }
  }
}
