/** The page: what it knows, what a person may do, and when. How it looks is the view's business. */

import { abilities } from "./abilities.js";
import { best, softmax } from "./compare.js";
import { download, forgetFiles, isKept } from "./download.js";
import { closeCamera, openCamera, watch } from "./live.js";
import { statistics, Stopped } from "./measure.js";
import { decode } from "./pixels.js";
import { Runner } from "./runner.js";
import { measure } from "./session.js";
import { View } from "./view.js";
import { Problem, sentence } from "./words.js";

/**
 * @typedef {import("./abilities.js").Abilities} Abilities
 * @typedef {import("./download.js").ModelFile} ModelFile
 * @typedef {import("./preprocess.js").How} How
 * @typedef {import("./preprocess.js").Pixels} Pixels
 * @typedef {import("./session.js").Row} Row
 * @typedef {import("./session.js").Failure} Failure
 * @typedef {import("./session.js").Expected} Expected
 * @typedef {import("./worker.js").Answer} Answer
 * @typedef {import("./worker.js").Backend} Backend
 *
 * @typedef {object} Data What the server says. Arrays of numbers are float32, little-endian, in base64.
 * @property {string} model
 * @property {string} title
 * @property {string} weights
 * @property {string} runtime
 * @property {string[]} labels
 * @property {How} preprocessing
 * @property {ModelFile[]} files
 * @property {{name: string, digest: string, base64: string}} picture
 * @property {Record<string, {input: string, logits: string} | {problem: string}>} expected by the hashes of picture and file
 *
 * @typedef {(name: string, value: unknown) => void} Tell
 */

const RECORD_VERSION = 1;
const SERVER_SECONDS = 120;
/** A tab that dies of too little memory cannot say so; this is found by the next one. */
const UNFINISHED = "deit-deploy-measuring";

/**
 * What was measured of each model and is not saved, for a person who looks at another page meanwhile.
 *
 * @type {Map<string, Pick<Page, "rows" | "failures" | "measuredAt">>}
 */
const measured = new Map();

export class Page {
  /** @type {Data} */
  data = /** @type {any} */ (undefined);
  /** @type {Abilities | null} */
  abilities = null;
  /** @type {Row[]} */
  rows = [];
  /** @type {Failure[]} */
  failures = [];
  /** @type {Set<string>} */
  chosen = new Set();
  /** @type {Set<string>} */
  kept = new Set();
  measuredAt = "";
  isLive = false;
  /** What the device answered last. @type {{picture: string, label: string, probability: number, where: string} | null} */
  answer = null;

  /** @type {Pixels | null} */
  #pixels = null;
  /** A picture that never leaves the device; else the server's. @type {Blob | null} */
  #ownPicture = null;
  /** @type {Tell} */
  #tell = () => {};
  /** @type {AbortController | null} */
  #work = null;
  #view;
  #identity = "";
  #picture = "";
  /** @type {Map<string, (expected: Expected | null) => void>} */
  #asked = new Map();

  /** @param {ShadowRoot} root */
  constructor(root) {
    this.#view = new View(root, this);
  }

  get isBusy() {
    return this.#work !== null;
  }

  /** The fastest row; null before there is one. */
  get fastest() {
    const medians = this.rows.map((row) => statistics(row.samples_ms).median);
    return this.rows[medians.indexOf(Math.min(...medians))] ?? null;
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
    this.rows = this.rows.filter((row) => data.files.some((file) => file.sha256 === row.sha256));
    this.chosen = new Set([...this.chosen].filter((key) => data.files.some((file) => file.key === key)));
    if (!this.chosen.size && data.files.length) this.chosen.add((data.files.at(-1) ?? data.files[0]).key);
    if (data.picture.digest !== this.#picture) {
      this.#picture = data.picture.digest;
      this.#ownPicture = null;
      this.answer = null;
      this.#pixels = null;
    }
    this.#hearExpected();
    this.#view.draw();
    this.#lookForKept();
    if (isFirst) this.#lookAround();
  }

  /** Ends everything that runs: the person went to another page. */
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
    const files = data.files.filter((file) => this.chosen.has(file.key));
    await this.#during(async (stop) => {
      this.rows = [];
      this.failures = [];
      this.measuredAt = new Date().toISOString();
      this.#remember();
      this.#ownPicture = null;
      this.#pixels = null;
      this.#mark(files.map((file) => file.title).join(" and "));
      const pixels = await this.#picturePixels();
      await measure(
        files,
        this.abilities?.backends ?? [],
        data.preprocessing,
        {
          told: (text, done) => this.#view.tellProgress(text, done),
          noted: (note) => this.#view.note(note),
          answered: (answer, file, backend) => this.#showAnswer(answer, `${file.title} on ${backend.title}`),
          measured: (row) => {
            this.rows.push(row);
            this.#remember();
            this.#view.draw();
          },
          failed: (failure) => {
            this.failures.push(failure);
            this.#remember();
            this.#view.draw();
          },
          expected: (file, stop) => this.#expected(file, stop),
          picture: () => ({ ...pixels, rgba: pixels.rgba.slice() }),
        },
        stop,
      );
    });
    await this.#lookForKept();
  }

  /** Classifies a picture that stays on the device, with the fastest of what was measured. @param {Blob} picture */
  async classify(picture) {
    this.#ownPicture = picture;
    this.#pixels = null;
    await this.#during(async (stop) => {
      const { runner, where } = await this.#openFastest(stop);
      try {
        const how = this.data.preprocessing;
        const input = await runner.prepare(await this.#picturePixels(), how);
        this.#pixels = null;
        this.#showAnswer(await runner.run(input, how.crop), where);
      } finally {
        runner.close();
      }
    });
  }

  /** Classifies what the camera sees, until stopped. */
  async live() {
    await this.#during(async (stop) => {
      const { video } = this.#view;
      await openCamera(video);
      let runner;
      try {
        const opened = await this.#openFastest(stop);
        runner = opened.runner;
        this.isLive = true;
        this.#view.draw();
        this.#view.tellProgress("");
        await watch(
          video,
          runner,
          this.data.preprocessing,
          (answer, rate) => this.#view.showLive(...this.#named(answer), answer.milliseconds, rate, opened.where),
          stop,
        );
      } finally {
        runner?.close();
        closeCamera(video);
        this.isLive = false;
      }
    });
  }

  /** What a person may keep: the only thing that is ever sent, and only when they ask for it. */
  record() {
    const { model, weights, runtime } = this.data;
    return {
      kind: "device",
      version: RECORD_VERSION,
      model,
      weights,
      runtime,
      device: this.abilities?.device,
      measured_at: this.measuredAt,
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

  /** One piece of work at a time; whatever goes wrong in it becomes a sentence. @param {(stop: AbortSignal) => Promise<void>} work */
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
      this.#mark("");
      this.#view.tellProgress("");
      this.#view.draw();
    }
  }

  async #lookAround() {
    this.abilities = await abilities();
    const unfinished = this.#unfinished();
    if (unfinished) {
      this.#view.note(
        `The last measurement, of ${unfinished}, did not come to its end. If this device's memory was too small for ` +
          "it, choose one file, the int8 one at first.",
      );
      this.#mark("");
    }
    this.#view.draw();
  }

  async #lookForKept() {
    const { files } = this.data;
    const kept = await Promise.all(files.map((file) => isKept(file).catch(() => false)));
    this.kept = new Set(files.filter((_, place) => kept[place]).map((file) => file.key));
    this.#view.draw();
  }

  #remember() {
    measured.set(this.#identity, { rows: this.rows, failures: this.failures, measuredAt: this.measuredAt });
  }

  #startOver() {
    this.stop();
    const { rows, failures, measuredAt } = measured.get(this.#identity) ?? { rows: [], failures: [], measuredAt: "" };
    this.rows = rows;
    this.failures = failures;
    this.measuredAt = measuredAt;
    this.answer = null;
    this.chosen.clear();
    this.#view.clearNotes();
  }

  async #picturePixels() {
    const source = this.#ownPicture ?? new Blob([bytesOf(this.data.picture.base64)]);
    this.#pixels ??= await decode(source);
    this.#view.showPicture(source);
    return this.#pixels;
  }

  /** @param {AbortSignal} stop */
  async #openFastest(stop) {
    const row = this.fastest;
    const file = this.data.files.find((known) => known.key === row?.format);
    const backend = this.abilities?.backends.find((known) => known.key === row?.backend && known.threads === row.threads);
    if (!file || !backend) throw new Problem("Nothing was measured yet. Press start first.");
    const told = (/** @type {number} */ received) =>
      this.#view.tellProgress(`Downloading ${file.title}`, received / file.bytes);
    const got = await download(file, told, stop);
    this.#view.tellProgress(`Loading ${file.title} on ${backend.title}`);
    const runner = new Runner(stop);
    try {
      await runner.open(backend, got.bytes);
    } catch (error) {
      runner.close();
      throw error;
    }
    return { runner, where: `${file.title} on ${backend.title}` };
  }

  /**
   * The server's answer of a file about the picture, which it is asked for once.
   *
   * @param {ModelFile} file @param {AbortSignal} stop
   * @returns {Promise<Expected | null>}
   */
  #expected(file, stop) {
    const key = `${this.data.picture.digest}:${file.sha256}`;
    return new Promise((resolve) => {
      const end = (/** @type {Expected | null} */ expected) => {
        this.#asked.delete(key);
        clearTimeout(timer);
        resolve(expected);
      };
      const timer = setTimeout(() => {
        this.#view.note("The server did not answer, so nothing was compared with it. Press start again later.");
        end(null);
      }, SERVER_SECONDS * 1000);
      stop.addEventListener("abort", () => end(null));
      this.#asked.set(key, end);
      if (this.data.expected[key]) this.#hearExpected();
      else this.#tell("compare", file.key);
    });
  }

  #hearExpected() {
    for (const [key, end] of this.#asked) {
      const given = this.data.expected[key];
      if (!given) continue;
      if ("problem" in given) {
        this.#view.note(given.problem);
        end(null);
      } else {
        end({ input: floatsOf(given.input), logits: floatsOf(given.logits) });
      }
    }
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

  /** @param {string} what */
  #mark(what) {
    try {
      if (what) localStorage.setItem(UNFINISHED, what);
      else localStorage.removeItem(UNFINISHED);
    } catch {
      // A browser that keeps nothing for pages cannot tell later, either.
    }
  }

  #unfinished() {
    try {
      return localStorage.getItem(UNFINISHED) ?? "";
    } catch {
      return "";
    }
  }
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** @param {string} base64 */
function floatsOf(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}
