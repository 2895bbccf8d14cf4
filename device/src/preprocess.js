/**
 * Turns a picture's pixels into the model's input, with exactly the numbers of Pillow and the server: resizes with
 * antialias in 8 bits, takes the center, normalizes. No canvas is used, because it resizes with other filters.
 *
 * Source: Pillow 13, src/libImaging/Resample.c.
 */

/**
 * @typedef {object} How
 * @property {"center" | "squash"} crop_mode "center": the short side is resized, the long one in proportion. "squash": both.
 * @property {number} resize
 * @property {number} crop
 * @property {"bicubic" | "bilinear" | "hamming"} interpolation
 * @property {number[]} mean
 * @property {number[]} std
 * @typedef {{width: number, height: number, rgba: Uint8ClampedArray}} Pixels
 * @typedef {{support: number, weight: (distance: number) => number}} Filter
 * @typedef {{start: number, weights: Int32Array}} Window The source pixels of one pixel, with fixed-point weights.
 * @typedef {{width: number, channels: number, data: ArrayLike<number>}} Raster Red, green and blue come first.
 */

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
const MOST_SQUARES = 8;
const CHANNELS = 3;

/** @type {Record<How["interpolation"], Filter>} */
const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: bicubic },
  hamming: { support: 1, weight: hamming },
};

/**
 * The model's input.
 *
 * @param {Pixels} pixels opaque
 * @param {How} how
 * @returns {Float32Array} (1, 3, crop, crop)
 */
export function preprocess(pixels, how) {
  return normalize(crop(pixels, how), how);
}

/**
 * What the model sees.
 *
 * @param {Pixels} pixels
 * @param {How} how
 * @returns {Uint8Array} RGB by rows, crop x crop
 */
export function crop(pixels, how) {
  const isSquashed = how.crop_mode === "squash";
  const [cutX, cutY] = isSquashed ? [0, 0] : farEnds(pixels.width, pixels.height);
  const width = pixels.width - 2 * cutX;
  const height = pixels.height - 2 * cutY;
  const short = Math.min(width, height);
  const newWidth = isSquashed ? how.resize : Math.floor((how.resize * width) / short);
  const newHeight = isSquashed ? how.resize : Math.floor((how.resize * height) / short);
  const columns = windows(width, newWidth, roundHalfEven((newWidth - how.crop) / 2), cutX, how);
  const rows = windows(height, newHeight, roundHalfEven((newHeight - how.crop) / 2), cutY, how);
  const raster = { width: pixels.width, channels: 4, data: pixels.rgba };
  // The passes round in between, so their order matters: Pillow resizes the height of tall pictures first.
  if (height > newHeight && height - newHeight > 2 * (width - newWidth)) {
    const [first, last] = span(columns);
    return across(down(raster, rows, first, last), shifted(columns, first), 0, how.crop).data;
  }
  const [first, last] = span(rows);
  return down(across(raster, columns, first, last), shifted(rows, first), 0, how.crop).data;
}

/** @param {Uint8Array} rgb @param {How} how */
function normalize(rgb, how) {
  const size = how.crop * how.crop;
  const input = new Float32Array(CHANNELS * size);
  for (let channel = 0; channel < CHANNELS; channel++) {
    const mean = Math.fround(how.mean[channel]);
    const std = Math.fround(how.std[channel]);
    const values = Float32Array.from({ length: 256 }, (_, value) =>
      Math.fround(Math.fround(Math.fround(value / 255) - mean) / std),
    );
    for (let place = 0; place < size; place++) input[channel * size + place] = values[rgb[CHANNELS * place + channel]];
  }
  return input;
}

/** @param {number} x */
function bicubic(x) {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
  return 0;
}

/** @param {number} x */
function hamming(x) {
  const distance = Math.abs(x);
  if (distance === 0) return 1;
  if (distance >= 1) return 0;
  const angle = distance * Math.PI;
  // In Pillow these two are single precision.
  return (Math.sin(angle) / angle) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(angle));
}

/**
 * For each of the `how.crop` pixels from `offset` on, its source pixels before the resize, which begin at `cut`.
 *
 * @param {number} size @param {number} newSize @param {number} offset @param {number} cut @param {How} how
 * @returns {Window[]}
 */
function windows(size, newSize, offset, cut, how) {
  if (newSize === size) {
    return Array.from({ length: how.crop }, (_, place) => ({
      start: cut + offset + place,
      weights: Int32Array.of(1 << PRECISION_BITS),
    }));
  }
  const { support, weight } = FILTERS[how.interpolation];
  const scale = size / newSize;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  return Array.from({ length: how.crop }, (_, place) => {
    const center = (offset + place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(size, Math.trunc(center + reach + 0.5));
    const shares = Array.from({ length: end - start }, (_, x) => weight((x + start - center + 0.5) * (1 / stretch)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const weights = shares.map((share) => (share / total) * (1 << PRECISION_BITS));
    const rounded = Int32Array.from(weights, (share) => Math.trunc(share < 0 ? share - 0.5 : share + 0.5));
    return { start: cut + start, weights: rounded };
  });
}

/** The range of pixels that windows use: the first, and the one after the last. @param {Window[]} windows */
function span(windows) {
  return [windows[0].start, Math.max(...windows.map((window) => window.start + window.weights.length))];
}

/** @param {Window[]} windows @param {number} first @returns {Window[]} */
function shifted(windows, first) {
  return windows.map(({ start, weights }) => ({ start: start - first, weights }));
}

/**
 * Resizes the rows from `first` to `last` to as many columns as there are windows.
 *
 * @param {Raster} raster @param {Window[]} columns @param {number} first @param {number} last
 */
function across({ width, channels, data }, columns, first, last) {
  const rgb = new Uint8Array(CHANNELS * columns.length * (last - first));
  let to = 0;
  for (let row = first; row < last; row++) {
    for (const { start, weights } of columns) {
      blend(data, (row * width + start) * channels, channels, weights, rgb, to);
      to += CHANNELS;
    }
  }
  return { width: columns.length, channels: CHANNELS, data: rgb };
}

/**
 * Resizes the columns from `first` to `last` to as many rows as there are windows.
 *
 * @param {Raster} raster @param {Window[]} rows @param {number} first @param {number} last
 */
function down({ width, channels, data }, rows, first, last) {
  const rgb = new Uint8Array(CHANNELS * (last - first) * rows.length);
  let to = 0;
  for (const { start, weights } of rows) {
    for (let column = first; column < last; column++) {
      blend(data, (start * width + column) * channels, width * channels, weights, rgb, to);
      to += CHANNELS;
    }
  }
  return { width: last - first, channels: CHANNELS, data: rgb };
}

/**
 * Computes one pixel from several that lie `step` apart.
 *
 * @param {ArrayLike<number>} data @param {number} from @param {number} step @param {Int32Array} weights
 * @param {Uint8Array} rgb @param {number} to
 */
function blend(data, from, step, weights, rgb, to) {
  let red = HALF;
  let green = HALF;
  let blue = HALF;
  for (let place = 0; place < weights.length; place++, from += step) {
    red += data[from] * weights[place];
    green += data[from + 1] * weights[place];
    blue += data[from + 2] * weights[place];
  }
  rgb[to] = byte(red);
  rgb[to + 1] = byte(green);
  rgb[to + 2] = byte(blue);
}

/** @param {number} sum */
function byte(sum) {
  return Math.min(255, Math.max(0, sum >> PRECISION_BITS));
}

/**
 * How many columns and rows are cut from each end of a strip that is longer than eight squares.
 *
 * @param {number} width @param {number} height
 */
function farEnds(width, height) {
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  const excess = Math.floor(Math.max(0, long - MOST_SQUARES * short) / (2 * short)) * short;
  return width > height ? [excess, 0] : [0, excess];
}

/** Rounds like Python. @param {number} value */
function roundHalfEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}
