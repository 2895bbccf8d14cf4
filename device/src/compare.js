/** Compares two answers to one picture. */

/** @typedef {{cosine: number, max_abs_difference: number, same_top1: boolean, input_difference: number}} Comparison */

/** @param {ArrayLike<number>} logits */
export function best(logits) {
  let place = 0;
  for (let other = 1; other < logits.length; other++) if (logits[other] > logits[place]) place = other;
  return place;
}

/**
 * @param {Float32Array} logits
 * @returns {Float32Array} probabilities, 0..1
 */
export function softmax(logits) {
  const highest = logits[best(logits)];
  const powers = logits.map((logit) => Math.exp(logit - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** 0 if one of them is all zeros. @param {Float32Array} one @param {Float32Array} other */
export function cosine(one, other) {
  let product = 0;
  let ones = 0;
  let others = 0;
  for (let place = 0; place < one.length; place++) {
    product += one[place] * other[place];
    ones += one[place] ** 2;
    others += other[place] ** 2;
  }
  return product && product / Math.sqrt(ones * others);
}

/** @param {Float32Array} one @param {Float32Array} other */
export function largestDifference(one, other) {
  return one.reduce((largest, value, place) => Math.max(largest, Math.abs(value - other[place])), 0);
}
