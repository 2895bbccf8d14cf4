/**
 * The page: its state and what a person can do with it. The view draws it.
 * It is one long class because all its methods share that state.
 */

import { abilities } from "./abilities.js";
import { best, softmax } from "./compare.js";
import { download, forgetFiles, isKept } from "./download.js";
import { closeCamera, openCamera, watch } from "./live.js";
import { statistics, Stopped } from "./measure.js";
import { copyOf, decode } from "./pixels.js";
import { Runner } from "./runner.js";
import { measure } from "./session.js";
import { View } from "./view.js";
import { begin, end, unfinished } from "./unfinished.js";
import { Problem, sentence } from "./words.js";

/**
 * @typedef {import("./abilities.js").Abilities} Abilities
 * @typedef {import("./session.js").ModelFile} ModelFile
 * @typedef {import("./preprocess.js").How} How
 * @typedef {import("./session.js").Row} Row
 * @typedef {import("./session.js").Failure} Failure
 * @typedef {import("./session.js").Expected} Expected
 * @typedef {import("./worker.js").Answer} Answer
 * @typedef {import("./worker.js").Backend} Backend
 *
 * @typedef {object} Data The server's message. Arrays of numbers are float32, little-endian, in base64.
 * @property {string} model
 * @property {string} title
 * @property {string} weights
 * @property {string} runtime
 * @property {string[]} labels
 * @property {How} preprocessing
 * @property {ModelFile[]} files
 * @property {{name: string, digest: string}} picture
 * @property {Record<string, Given>} given what the page asked for: pictures by their hash, the server's answers by
 *   the hashes of picture and file
 *
 * @typedef {{base64?: string, input?: string, logits?: string, problem?: string}} Given
 * @typedef {{rows: Row[], failures: Failure[], measuredAt: string}} Found The result of one measurement.
 * @typedef {(name: string, value: unknown) => void} Tell
 */

const RECORD_VERSION = 1;
const SERVER_SECONDS = 120;

/**
 * Measurements of each model that are not saved yet, kept while the person looks at another page.
 *
 * @type {Map<string, Found>}
 */
const measured = new Map();

export class Page {
  /** @type {Data} */
  data = /** @type {any} */ (undefined);
  /** @type {Abilities | null} */
  abilities = null;
  /** @type {Set<string>} */
  chosen = new Set();
  /** @type {Set<string>} */
  kept = new Set();
  isLive = false;
  /** The device's last answer. @type {{picture: string, label: string, probability: number, where: string} | null} */
  answer = null;

  /** @type {Found} */
  #found = { rows: [], failures: [], measuredAt: "" };
  /** The person's own picture, which never leaves the device; null for the server's picture. @type {Blob | null} */
  #ownPicture = null;
  /** @type {Blob | null} */
  #serverPicture = null;
  /** The server's answers about its picture, by the hash of the file. @type {Map<string, Expected>} */
  #expected = new Map();
  #hasGraphics = true;
  /** @type {Tell} */
  #tell = () => {};
  /** @type {AbortController | null} */
  #work = null;
  #view;
  #identity = "";
  #picture = "";
  /** @type {Map<string, (given: Given | null) => void>} */
  #asked = new Map();

  /** @param {ShadowRoot} root */
  constructor(root) {
    this.#view = new View(root, this);
  }

  get isBusy() {
    return this.#work !== null;
  }

  get rows() {
    return this.#found.rows;
  }

  get failures() {
    return this.#found.failures;
  }

  /** The fastest row on a backend that still works; undefined if there is none. */
  get #fastest() {
    const rows = this.rows.filter((row) => this.#hasGraphics || row.backend !== "webgpu");
    const medians = rows.map((row) => statistics(row.samples_ms).median);
    return rows[medians.indexOf(Math.min(...medians))];
  }

  /** @param {Data} data @param {Tell} tell */
  update(data, tell) {
    const isFirst = !this.data;
    const identity = [data.model, data.weights].join();
    this.data = data;
    this.#tell = tell;
    if (identity !== this.#identity) {
      this.#identity = identity;
      this.#startOver();
    }
    this.#found.rows = this.rows.filter((row) => data.files.some((file) => file.sha256 === row.sha256));
    this.chosen = new Set([...this.chosen].filter((key) => data.files.some((file) => file.key === key)));
    if (!this.chosen.size) this.chosen = new Set(small(data.files).map((file) => file.key));
    if (data.picture.digest !== this.#picture) {
      this.#picture = data.picture.digest;
      this.#ownPicture = null;
      this.#serverPicture = null;
      this.#expected.clear();
      this.answer = null;
    }
    for (const [key, given] of Object.entries(data.given)) this.#asked.get(key)?.(given);
    this.#view.draw();
    this.#lookForKept();
    if (isFirst) this.#lookAround();
  }

  /** Ends everything that runs, because the person left the page. */
  close() {
    this.stop();
    closeCamera(this.#view.video);
  }

  /** @param {string} key @param {boolean} isChosen */
  choose(key, isChosen) {
    if (isChosen) this.chosen.add(key);
    else this.chosen.delete(key);
    this.#view.draw();
  }

  stop() {
    this.#work?.abort();
  }

  /** Times every chosen file on every backend. */
  async start() {
    const { data } = this;
    const identity = this.#identity;
    const files = data.files.filter((file) => this.chosen.has(file.key));
    await this.#during(async (stop) => {
      /** @type {Found} */
      const found = { rows: [], failures: [], measuredAt: new Date().toISOString() };
      // Keeps the previous measurement until there is a new one.
      const show = () => {
        measured.set(identity, found);
        this.#found = found;
        this.#view.draw();
      };
      this.#hasGraphics = true;
      this.#ownPicture = null;
      begin(files.map((file) => file.title).join(" and "));
      const pixels = this.#picturePixels(stop);
      // The session waits for this after the download, which may fail first.
      pixels.catch(() => {});
      await measure(
        files,
        this.abilities?.backends ?? [],
        data.preprocessing,
        {
          told: (text, done) => this.#view.tellProgress(text, done),
          noted: (note) => this.#view.note(note),
          answered: (answer, file, backend) => this.#showAnswer(answer, `${file.title} on ${backend.title}`),
          measured: (row) => {
            found.rows.push(row);
            show();
          },
          failed: (failure) => {
            found.failures.push(failure);
            show();
          },
          expected: (file, stop) => this.#expectedOf(file, stop),
          pixels,
        },
        stop,
      );
    });
    await this.#lookForKept();
  }

  /** Classifies a picture that stays on the device, with the fastest measured file and backend. @param {Blob} picture */
  async classify(picture) {
    this.#ownPicture = picture;
    const how = this.data.preprocessing;
    await this.#during(async (stop) => {
      const pixels = await this.#picturePixels(stop);
      await this.#withFastest(stop, async (runner, where) => {
        const input = await runner.prepare(copyOf(pixels), how);
        this.#showAnswer(await runner.run(input, how.crop), where);
      });
    });
  }

  /** Classifies what the camera sees, until stopped. */
  async live() {
    await this.#during(async (stop) => {
      const { video } = this.#view;
      await openCamera(video);
      try {
        await this.#withFastest(stop, async (runner, where) => {
          this.isLive = true;
          this.#view.draw();
          this.#view.tellProgress("");
          const seen = (/** @type {Answer} */ answer, /** @type {number} */ rate) =>
            this.#view.showLive(...this.#named(answer), answer.milliseconds, rate, where);
          await watch(video, runner, this.data.preprocessing, seen, stop);
        });
      } finally {
        closeCamera(video);
        this.isLive = false;
      }
    });
  }

  /** The report that a person can save. Nothing else is ever sent, and this only when they ask for it. */
  record() {
    const { model, weights, runtime } = this.data;
    return {
      kind: "device",
      version: RECORD_VERSION,
      model,
      weights,
      runtime,
      device: this.abilities?.device,
      measured_at: this.#found.measuredAt,
      rows: this.rows,
      failures: this.failures,
    };
  }

  save() {
    this.#tell("save", JSON.stringify(this.record()));
  }

  async forgetFiles() {
    await forgetFiles();
    await this.#lookForKept();
  }

  /** Runs one piece of work at a time, and shows any error in it as a sentence. @param {(stop: AbortSignal) => Promise<void>} work */
  async #during(work) {
    if (this.#work) return;
    const own = new AbortController();
    this.#work = own;
    this.#view.clearNotes();
    this.#view.draw();
    try {
      await work(own.signal);
    } catch (error) {
      if (!(error instanceof Stopped) && !own.signal.aborted) this.#view.note(sentence(error));
    } finally {
      this.#work = null;
      end();
      this.#view.tellProgress("");
      this.#view.draw();
    }
  }

  async #lookAround() {
    this.abilities = await abilities();
    const killed = unfinished();
    if (killed) {
      this.#view.note(
        `The last measurement, of ${killed}, did not come to its end. If this device's memory was too small for ` +
          "it, choose one file, the int8 one at first.",
      );
    }
    this.#view.draw();
  }

  async #lookForKept() {
    const { files } = this.data;
    const kept = await Promise.all(files.map((file) => isKept(file).catch(() => false)));
    this.kept = new Set(files.filter((_, place) => kept[place]).map((file) => file.key));
    this.#view.draw();
  }

  #startOver() {
    this.stop();
    this.#found = measured.get(this.#identity) ?? { rows: [], failures: [], measuredAt: "" };
    this.answer = null;
    this.chosen.clear();
    this.#view.clearNotes();
  }

  /** @param {AbortSignal} stop */
  async #picturePixels(stop) {
    const source = this.#ownPicture ?? (await this.#askedPicture(stop));
    const pixels = await decode(source);
    this.#view.showPicture(source);
    return pixels;
  }

  /** @param {AbortSignal} stop */
  async #askedPicture(stop) {
    if (this.#serverPicture) return this.#serverPicture;
    const { digest } = this.data.picture;
    const given = await this.#ask("picture", digest, digest, stop);
    if (!given) throw new Stopped();
    if (!given.base64) throw new Problem("The server did not send the picture. Press start again later.");
    return (this.#serverPicture = new Blob([bytesOf(given.base64)]));
  }

  /**
   * Calls `use` with the fastest measured file and backend. If the graphics chip fails meanwhile, calls it again with
   * the fastest on the processor.
   *
   * @param {AbortSignal} stop @param {(runner: Runner, where: string) => Promise<void>} use
   */
  async #withFastest(stop, use) {
    for (;;) {
      const row = this.#fastest;
      const file = this.data.files.find((known) => known.key === row?.format);
      const backend = this.abilities?.backends.find((known) => known.key === row?.backend && known.threads === row.threads);
      if (!file || !backend) throw new Problem("Nothing was measured yet. Press start first.");
      const told = (/** @type {number} */ received) =>
        this.#view.tellProgress(`Downloading ${file.title}`, received / file.bytes);
      const got = await download(file, told, stop);
      this.#view.tellProgress(`Loading ${file.title} on ${backend.title}`);
      const runner = new Runner(stop);
      try {
        await runner.open(backend, file.file, got.bytes);
        return await use(runner, `${file.title} on ${backend.title}`);
      } catch (error) {
        const isReplaceable = backend.key === "webgpu" && this.rows.some((other) => other.backend === "wasm");
        if (stop.aborted || !isReplaceable) throw error;
        this.#hasGraphics = false;
        this.#view.note("The graphics chip stopped; the processor goes on. Measure again to give the chip another try.");
      } finally {
        runner.close();
      }
    }
  }

  /**
   * The server's answer with a file to the picture. The server is asked only once.
   *
   * @param {ModelFile} file @param {AbortSignal} stop
   * @returns {Promise<Expected | null>}
   */
  async #expectedOf(file, stop) {
    const known = this.#expected.get(file.sha256);
    if (known) return known;
    const given = await this.#ask("compare", file.key, `${this.data.picture.digest}:${file.sha256}`, stop);
    if (given?.problem) this.#view.note(given.problem);
    if (!given?.input || !given.logits) return null;
    const expected = { input: floatsOf(given.input), logits: floatsOf(given.logits) };
    this.#expected.set(file.sha256, expected);
    return expected;
  }

  /**
   * Asks the server for what it sends under a key; null if the person stopped meanwhile.
   *
   * @param {string} name @param {string} value @param {string} key @param {AbortSignal} stop
   * @returns {Promise<Given | null>}
   */
  #ask(name, value, key, stop) {
    return new Promise((resolve) => {
      const hear = (/** @type {Given | null} */ given) => {
        this.#asked.delete(key);
        clearTimeout(timer);
        resolve(given);
      };
      const problem = "The server did not answer, so nothing was compared with it. Press start again later.";
      const timer = setTimeout(() => hear({ problem }), SERVER_SECONDS * 1000);
      stop.addEventListener("abort", () => hear(null));
      this.#asked.set(key, hear);
      this.#tell(name, value);
    });
  }

  /** @param {Answer} answer @param {string} where */
  #showAnswer(answer, where) {
    const [label, probability] = this.#named(answer);
    this.answer = { picture: this.#ownPicture ? "" : this.data.picture.name, label, probability, where };
    this.#view.draw();
  }

  /** @param {Answer} answer @returns {[string, number]} */
  #named({ logits }) {
    const place = best(logits);
    return [this.data.labels[place] ?? `class ${place}`, softmax(logits)[place]];
  }
}

/** The int8 files, so that every runtime is measured with little to download; all files if none is int8. @param {ModelFile[]} files */
function small(files) {
  const found = files.filter((file) => file.int8);
  return found.length ? found : files;
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** @param {string} base64 */
function floatsOf(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}
