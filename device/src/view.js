/**
 * Draws the page. All text goes in as text nodes, so nothing from a file or a server becomes markup.
 * It is one long class because it holds every element that it updates.
 */

import { statistics } from "./measure.js";
import { megabytes, percent, small, time } from "./words.js";

/**
 * @typedef {import("./page.js").Page} Page
 * @typedef {import("./session.js").Row} Row
 * @typedef {import("./abilities.js").Device} Device
 * @typedef {Record<string, string | boolean | ((event: any) => void)>} Attributes
 */

/** The memory that opening a file takes, as a multiple of its size. */
const ROOM = 4;

const COLUMNS = ["File", "Runs on", "Median", "", "p95", "Spread", "First answer", "Load"];

/** If the ratio of the medians is below this, the page names no winner. */
const TIE = 1.05;

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Attributes} attributes @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Fills an element, unless it already shows this, so that focus and screen readers are not disturbed.
 *
 * @param {Element} element @param {(Node | string)[]} children
 */
function fill(element, ...children) {
  const next = make("div", {}, ...children);
  if (next.innerHTML !== element.innerHTML) element.replaceChildren(...next.childNodes);
}

export class View {
  video = make("video", { playsinline: true, muted: true, "aria-label": "What the camera sees" });
  #page;
  #device = make("section", { class: "device" });
  #files = make("fieldset", { class: "files" });
  #controls = make("div", { class: "controls" });
  #progress = make("div", { class: "progress", role: "status", hidden: true });
  #notes = make("div", { role: "alert" });
  #seen = make("div", { class: "told", "aria-live": "off" });
  #live = make("section", { class: "live", hidden: true }, this.video, this.#seen);
  #thumbnail = make("img", { alt: "The picture that the device classifies" });
  #told = make("div", { class: "told", "aria-live": "polite" });
  #answer = make("section", { class: "answer", hidden: true }, this.#thumbnail, this.#told);
  #results = make("section", { class: "results" });
  #actions = make("div", { class: "controls" });

  /** @param {ShadowRoot} root @param {Page} page */
  constructor(root, page) {
    this.#page = page;
    const parts = [this.#device, this.#files, this.#controls, this.#progress, this.#notes];
    root.append(make("main", {}, ...parts, this.#live, this.#answer, this.#results, this.#actions));
  }

  draw() {
    this.#drawDevice();
    this.#drawFiles();
    this.#drawControls();
    this.#drawAnswer();
    this.#drawResults();
    this.#drawActions();
    this.#live.hidden = !this.#page.isLive;
  }

  /** @param {string} text empty where nothing is under way @param {number} [done] 0..1, where it is known */
  tellProgress(text, done) {
    this.#progress.hidden = !text;
    const bar = make("progress", done === undefined ? {} : { value: String(done) });
    this.#progress.replaceChildren(make("span", {}, text && `${text} …`), bar);
  }

  /** @param {string} text */
  note(text) {
    if ([...this.#notes.children].some((note) => note.textContent === text)) return;
    this.#notes.append(make("p", { class: "note" }, text));
  }

  clearNotes() {
    this.#notes.replaceChildren();
  }

  /** @param {Blob} picture */
  showPicture(picture) {
    URL.revokeObjectURL(this.#thumbnail.src);
    this.#thumbnail.src = URL.createObjectURL(picture);
  }

  /** @param {string} label @param {number} probability @param {number} milliseconds @param {number} rate @param {string} where */
  showLive(label, probability, milliseconds, rate, where) {
    const speed = `${rate.toFixed(1)} frames/s · ${time(milliseconds)} each · ${where}`;
    const name = make("b", { "data-testid": "seen" }, label);
    fill(this.#seen, name, ` ${percent(probability)}`, make("small", {}, speed));
  }

  #drawDevice() {
    const { abilities } = this.#page;
    if (!abilities) {
      fill(this.#device, "Looking at what this browser can do …");
      return;
    }
    const { device, backends, missing } = abilities;
    const works = backends.map((backend) => make("li", { class: "works" }, backend.title));
    const lacks = missing.map(({ title, reason }) => make("li", { class: "lacks" }, make("span", {}, title), ` ${reason}`));
    const parts = [make("p", {}, make("b", {}, describe(device))), make("ul", {}, ...works, ...lacks)];
    if (!device.secure) {
      const text =
        "This page was opened over http. Over https it could also keep the file, use the camera, the graphics chip " +
        "and several threads: see “https at home” below.";
      parts.push(make("p", { class: "note" }, text));
    }
    fill(this.#device, ...parts);
  }

  #drawFiles() {
    const page = this.#page;
    const memory = page.abilities?.device.memory_gb;
    const choices = page.data.files.map((file) => {
      const box = make("input", {
        type: "checkbox",
        checked: page.chosen.has(file.key),
        disabled: page.isBusy,
        change: ({ target }) => {
          // So that the next drawing finds the box as it should be, and leaves it the focus.
          target.toggleAttribute("checked", target.checked);
          page.choose(file.key, target.checked);
        },
      });
      const size = `${megabytes(file.bytes)}${page.kept.has(file.key) ? " · kept by this browser" : ""}`;
      const isTight = memory && ROOM * file.bytes > (memory * 1e9) / 2;
      const tight = isTight ? [make("small", {}, `may be too much for a device with ${memory} GB of memory`)] : [];
      return make("label", {}, box, make("span", {}, file.title), make("small", {}, size), ...tight);
    });
    const choose = page.data.files.length ? make("legend", {}, "Files") : "";
    this.#files.hidden = !page.data.files.length;
    fill(this.#files, choose, ...choices);
  }

  #drawControls() {
    const page = this.#page;
    const canStart = Boolean(page.abilities?.backends.length && page.chosen.size);
    const start = page.rows.length ? "Measure again on this device" : "Start on this device";
    fill(
      this.#controls,
      page.isBusy
        ? button(page.isLive ? "Stop the camera" : "Stop", () => page.stop())
        : button(start, () => page.start(), { class: page.rows.length ? "" : "primary", disabled: !canStart }),
    );
  }

  #drawAnswer() {
    const { answer, isLive } = this.#page;
    this.#answer.hidden = !answer || isLive;
    if (!answer) return;
    const whose = answer.picture
      ? `${answer.picture}, classified by ${answer.where}, on this device`
      : `A picture that never left this device, classified by ${answer.where}`;
    const label = make("b", { "data-testid": "answer" }, answer.label);
    fill(this.#told, label, ` ${percent(answer.probability)}`, make("small", {}, whose));
  }

  #drawResults() {
    const { rows, failures } = this.#page;
    const medians = rows.map((row) => statistics(row.samples_ms).median);
    const winners = rows.filter((_, place) => medians[place] <= TIE * Math.min(...medians));
    const badge = rows.length === 1 ? "" : winners.length > 1 ? "tied" : "fastest";
    const slowest = Math.max(...medians);
    const table = rows.length
      ? [
          make(
            "div",
            { class: "scroll" },
            make(
              "table",
              {},
              make("thead", {}, line("th", COLUMNS)),
              make("tbody", {}, ...rows.map((row) => this.#drawRow(row, winners.includes(row) ? badge : "", slowest))),
            ),
          ),
          make("p", { class: "fine" }, this.#rounds()),
        ]
      : [];
    const failed = failures.map((failure) =>
      make("p", { class: "note" }, `${this.#title(failure.format)} on ${this.#backend(failure)} failed. ${failure.reason}`),
    );
    fill(this.#results, ...table, ...failed, ...this.#drawComparison());
  }

  /** @param {Row} row @param {string} badge @param {number} slowest */
  #drawRow(row, badge, slowest) {
    const { median, p95, spread } = statistics(row.samples_ms);
    const bar = make("span", { class: "bar", style: `width: ${((100 * median) / slowest).toFixed(1)}%` });
    const cells = [
      this.#title(row.format),
      this.#backend(row),
      make("b", {}, time(median)),
      make("span", { class: "track" }, bar),
      time(p95),
      time(spread),
      time(row.first_ms),
      time(row.runtime_ms + row.load_ms),
    ];
    const drawn = line("td", cells);
    // On a phone the row is a card, where each value has its name beside it.
    [...drawn.children].forEach((cell, place) => cell.setAttribute("data-column", COLUMNS[place]));
    drawn.dataset.testid = `row-${row.format}-${row.backend}-${row.threads}`;
    if (badge) {
      drawn.classList.add("winner");
      drawn.children[1].append(make("span", { class: "badge" }, badge));
    }
    return drawn;
  }

  #rounds() {
    const { rows } = this.#page;
    const counts = rows.map((row) => row.samples_ms.length);
    const [least, most] = [Math.min(...counts), Math.max(...counts)];
    const discarded = rows.reduce((sum, row) => sum + row.discarded, 0);
    const thrown = discarded
      ? ` ${discarded} more ${discarded === 1 ? "was" : "were"} thrown away, because this tab was in the background and ` +
        "browsers slow it down there."
      : "";
    return (
      `${least === most ? least : `${least} to ${most}`} rounds each, after a warm-up. Load: starting the runtime and ` +
      `reading the file. Spread: between the quartiles.${thrown}`
    );
  }

  #drawComparison() {
    const rows = this.#page.rows.filter((row) => row.compared);
    const compared = rows.flatMap((row) => row.compared ?? []);
    if (!compared.length) return [];
    const cosine = Math.min(...compared.map((found) => found.cosine)).toFixed(6);
    const difference = small(Math.max(...compared.map((found) => found.max_abs_difference)));
    const input = small(Math.max(...compared.map((found) => found.input_difference)));
    const others = rows
      .filter((row) => !row.compared?.same_top1)
      .map((row) =>
        make("p", { class: "note" }, `${this.#title(row.format)} on ${this.#backend(row)} names another class than the server.`),
      );
    const same = others.length ? "" : "The same class as on the server. ";
    const text =
      `${same}On the server's own input, the logits here and there have a cosine of ${cosine} and differ by at most ` +
      `${difference}; the input made on this device differs from the server's by ${input === "0" ? "nothing" : `at most ${input}`}.`;
    return [make("p", { class: "fine" }, text), ...others];
  }

  #drawActions() {
    const page = this.#page;
    if (!page.rows.length || page.isBusy) {
      fill(this.#actions);
      return;
    }
    const picture = make("input", {
      type: "file",
      accept: "image/*",
      change: (event) => event.target.files[0] && page.classify(event.target.files[0]),
    });
    const download = () => {
      const report = new Blob([JSON.stringify(page.record(), null, 2)], { type: "application/json" });
      make("a", { href: URL.createObjectURL(report), download: `${page.data.model}_device.json` }).click();
    };
    const forget = page.kept.size ? [button("Remove kept files", () => page.forgetFiles())] : [];
    fill(
      this.#actions,
      button("Save beside the server's", () => page.save(), { class: "primary" }),
      button("JSON", download),
      make("label", { class: "button" }, "Classify another picture", picture),
      button("Live camera", () => page.live()),
      ...forget,
    );
  }

  /** @param {string} format */
  #title(format) {
    return this.#page.data.files.find((file) => file.key === format)?.title ?? format;
  }

  /** @param {{backend: string, threads: number}} found */
  #backend({ backend, threads }) {
    const known = this.#page.abilities?.backends.find((other) => other.key === backend && other.threads === threads);
    return known?.title ?? backend;
  }
}

/** @param {Device} device */
function describe(device) {
  const system = device.model || device.system;
  const cores = device.cores ? ` · ${device.cores} processor ${device.cores === 1 ? "core" : "cores"}` : "";
  // Browsers round it, and tell no more than 8 or 32 GB.
  const memory = device.memory_gb ? ` · ${device.memory_gb} GB of memory or more` : "";
  return `${device.browser} on ${system}${cores}${memory}${device.gpu ? ` · ${device.gpu} graphics` : ""}`;
}

/** @param {string} text @param {() => void} click @param {Attributes} attributes */
function button(text, click, attributes = {}) {
  return make("button", { type: "button", click, ...attributes }, text);
}

/** @param {"td" | "th"} tag @param {(Node | string)[]} cells */
function line(tag, cells) {
  return make("tr", {}, ...cells.map((cell) => make(tag, {}, cell)));
}
