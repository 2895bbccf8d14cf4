import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { beforeEach } from "node:test";

import { download, isKept } from "../src/download.js";
import { Problem } from "../src/words.js";

const CONTENT = Uint8Array.from({ length: 100_000 }, (_, place) => (place * 7) % 251);

/** A file with a hash of its own, because what arrives of a file is remembered between downloads. */
function file(/** @type {Uint8Array} */ content = CONTENT) {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { key: "onnx", title: "ONNX", file: "demo.onnx", url: "artifacts/x/demo.onnx", bytes: content.length, sha256 };
}

/** The store's side: ranges, and a connection that breaks after so many bytes. */
class Server {
  content = CONTENT;
  /** @type {(string | null)[]} */
  ranges = [];
  /** @type {number[]} */
  breaksAfter = [];
  status = 200;
  type = "text/plain; charset=utf-8";

  fetch = async (/** @type {string} */ _url, /** @type {RequestInit} */ init = {}) => {
    const range = new Headers(init.headers).get("Range");
    this.ranges.push(range);
    if (this.status !== 200) {
      return new Response("It is being built again:\ntry again.\n", { status: this.status, headers: { "Content-Type": this.type } });
    }
    const from = range ? Number(/\d+/.exec(range)?.[0]) : 0;
    const length = this.breaksAfter.shift();
    const body = this.content.subarray(from, length === undefined ? undefined : from + length);
    const stream = new ReadableStream({
      start(controller) {
        if (body.length) controller.enqueue(body.slice());
        if (length === undefined) controller.close();
        else setTimeout(() => controller.error(new TypeError("network error")));
      },
    });
    return new Response(stream, { status: range ? 206 : 200 });
  };
}

class FakeCaches {
  /** @type {Map<string, Response>} */
  entries = new Map();
  room = Infinity;

  open = async () => /** @type {Cache} */ (/** @type {unknown} */ (this));
  match = async (/** @type {string} */ key) => this.entries.get(key)?.clone();
  keys = async () => [...this.entries.keys()];
  delete = async (/** @type {string} */ key) => this.entries.delete(key);
  put = async (/** @type {string} */ key, /** @type {Response} */ response) => {
    if (this.entries.size >= this.room) throw Object.assign(new Error("full"), { name: "QuotaExceededError" });
    this.entries.set(key, response);
  };
}

const never = new AbortController().signal;
/** @type {Server} */
let server;
/** @type {FakeCaches} */
let storage;

beforeEach(() => {
  server = new Server();
  storage = new FakeCaches();
  globalThis.fetch = /** @type {any} */ (server.fetch);
});

test("a file arrives whole, with progress, and is kept", async () => {
  /** @type {number[]} */
  const told = [];
  const got = await download(file(), (received) => told.push(received), never, storage, 0);
  assert.deepEqual(got.bytes, CONTENT);
  assert.equal(told.at(-1), CONTENT.length);
  assert.ok(await isKept(file(), storage));
  const again = await download(file(), () => {}, never, storage, 0);
  assert.deepEqual(again.bytes, CONTENT);
  assert.equal(again.milliseconds, null);
  assert.equal(server.ranges.length, 1);
});

test("a download that breaks goes on from there", async () => {
  server.breaksAfter = [30_000, 30_000];
  const got = await download(file(), () => {}, never, storage, 0);
  assert.deepEqual(got.bytes, CONTENT);
  assert.deepEqual(server.ranges, [null, "bytes=30000-", "bytes=60000-"]);
});

test("a download that breaks for good says so, and a second start goes on from there", async () => {
  server.breaksAfter = [30_000, 0, 0, 0, 0];
  await assert.rejects(download(file(), () => {}, never, storage, 0), (error) => {
    assert.ok(error instanceof Problem);
    assert.match(error.message, /30000 of 100000 bytes/);
    return true;
  });
  const got = await download(file(), () => {}, never, storage, 0);
  assert.deepEqual(got.bytes, CONTENT);
  assert.equal(server.ranges.at(-1), "bytes=30000-");
  assert.equal(got.milliseconds, null);
});

test("a server that cannot give the file now is quoted, a proxy's page is not", async () => {
  server.status = 503;
  const wanted = file(Uint8Array.of(2));
  await assert.rejects(download(wanted, () => {}, never, storage, 0), { message: "It is being built again: try again." });
  assert.equal(server.ranges.length, 1);
  server.type = "text/html";
  await assert.rejects(download(wanted, () => {}, never, storage, 0), /broke off after 0 of 1 bytes/);
});

test("what is not what was promised is refused", async () => {
  const promised = file();
  server.content = CONTENT.map((value, place) => (place === 5 ? value + 1 : value));
  await assert.rejects(download(promised, () => {}, never, storage, 0), /did not arrive as it was sent/);
  assert.equal(storage.entries.size, 0);
  server.content = Uint8Array.of(...CONTENT, 1, 2, 3);
  await assert.rejects(download(promised, () => {}, never, storage, 0), /longer than the server said/);
});

test("a file that is gone from the server is not asked for again", async () => {
  server.status = 404;
  await assert.rejects(download(file(Uint8Array.of(1)), () => {}, never, storage, 0), /does not have this file any more/);
  assert.equal(server.ranges.length, 1);
});

test("a full cache drops other files, and then says that it keeps none", async () => {
  storage.entries.set("/kept/other", new Response("x"));
  storage.room = 1;
  assert.equal((await download(file(), () => {}, never, storage, 0)).note, "");
  assert.deepEqual([...storage.entries.keys()], [`/kept/${file().sha256}`]);
  storage.entries.clear();
  storage.room = 0;
  assert.match((await download(file(), () => {}, never, storage, 0)).note, /no room to keep this file/);
});

test("a damaged file in the cache is downloaded again", async () => {
  storage.entries.set(`/kept/${file().sha256}`, new Response(new Uint8Array(CONTENT.length)));
  const got = await download(file(), () => {}, never, storage, 0);
  assert.deepEqual(got.bytes, CONTENT);
  assert.equal(server.ranges.length, 1);
});

test("a page that may keep nothing works all the same", async () => {
  const got = await download(file(), () => {}, never, undefined, 0);
  assert.deepEqual(got.bytes, CONTENT);
  assert.equal(got.note, "");
});

test("a person may stop it", async () => {
  const stop = new AbortController();
  server.breaksAfter = [10];
  const started = download(file(Uint8Array.from(CONTENT, (value) => value ^ 1)), () => stop.abort(), stop.signal, storage, 0);
  await assert.rejects(started);
  assert.equal(server.ranges.length, 1);
});
