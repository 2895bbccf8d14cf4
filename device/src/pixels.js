/** Turns pictures and camera frames into pixels. */

import { Problem } from "./words.js";

/** @typedef {import("./preprocess.js").Pixels} Pixels */

/** The most that Safari's canvas holds. The browser makes larger pictures smaller first. */
const MOST_PIXELS = 16_000_000;

/**
 * A picture, upright and in sRGB as the browser shows it, on white.
 *
 * @param {Blob} picture
 * @returns {Promise<Pixels>}
 * @throws {Problem} if the browser cannot read it
 */
export async function decode(picture) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture);
  } catch {
    throw new Problem("This browser cannot read this picture. Give a JPEG, PNG or WebP.");
  }
  try {
    const shrink = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
    return read(bitmap, Math.round(bitmap.width * shrink), Math.round(bitmap.height * shrink));
  } finally {
    bitmap.close();
  }
}

/** A copy of the pixels, whose buffer may be transferred to a worker. @param {Pixels} pixels @returns {Pixels} */
export function copyOf(pixels) {
  return { ...pixels, rgba: pixels.rgba.slice() };
}

/**
 * @param {CanvasImageSource} source @param {number} width @param {number} height
 * @returns {Pixels}
 */
export function read(source, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Problem("The memory of this device is too small for this picture. Give a smaller one.");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return { width, height, rgba: context.getImageData(0, 0, width, height).data };
}
