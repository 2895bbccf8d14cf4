/** Times rounds of one inference each until there are enough; drops those timed while the page was in the background. */

/**
 * @typedef {object} Watch
 * @property {() => boolean} isHidden whether the page was in the background at any time since the last call
 * @property {() => Promise<void>} shown resolves once the page is in front
 * @property {() => boolean} isStopped whether the person stopped the measurement
 * @property {() => number} now milliseconds
 * @property {(done: number) => void} told called after each round with the share of the work that is done, 0..1
 *
 * @typedef {{warmUp: number, least: number, most: number, milliseconds: number}} Budget
 * @typedef {{samples: number[], discarded: number}} Rounds
 * @typedef {{median: number, p95: number, spread: number}} Statistics
 */

/** @type {Budget} */
export const BUDGET = { warmUp: 2, least: 15, most: 100, milliseconds: 6000 };

export class Stopped extends Error {}

/**
 * @param {() => Promise<number>} once one inference; its milliseconds
 * @param {Watch} watch
 * @param {Budget} budget
 * @returns {Promise<Rounds>}
 * @throws {Stopped}
 */
export async function rounds(once, watch, budget = BUDGET) {
  /** @type {number[]} */
  const samples = [];
  let discarded = 0;
  let cold = budget.warmUp;
  let spent = 0;
  while (samples.length < budget.least || (samples.length < budget.most && spent < budget.milliseconds)) {
    if (watch.isStopped()) throw new Stopped();
    const started = watch.now();
    const milliseconds = await once();
    if (watch.isHidden()) {
      discarded += 1;
      cold = budget.warmUp;
      await watch.shown();
      watch.isHidden();
    } else if (cold > 0) {
      cold -= 1;
    } else {
      samples.push(milliseconds);
      spent += watch.now() - started;
      const known = Math.min(1, Math.max(samples.length / budget.most, spent / budget.milliseconds));
      watch.told(Math.min(samples.length / budget.least, known));
    }
  }
  return { samples, discarded };
}

/**
 * Quantiles as numpy and the server's records compute them; `spread` is the distance between the quartiles.
 *
 * @param {number[]} samples
 * @returns {Statistics}
 */
export function statistics(samples) {
  const sorted = [...samples].sort((one, other) => one - other);
  /** @param {number} share */
  const quantile = (share) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  };
  return { median: quantile(0.5), p95: quantile(0.95), spread: quantile(0.75) - quantile(0.25) };
}
