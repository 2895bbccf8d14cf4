/** The camera's frames, classified on the device one after the other. */

import { read } from "./pixels.js";
import { Problem } from "./words.js";

/**
 * @typedef {import("./runner.js").Runner} Runner
 * @typedef {import("./worker.js").Answer} Answer
 * @typedef {import("./preprocess.js").How} How
 * @typedef {(answer: Answer, framesPerSecond: number) => void} Seen
 */

/** The frame rate is computed over this many milliseconds. */
const WINDOW_MILLISECONDS = 2000;

/** What a person can do about each of the browser's refusals. @type {Record<string, string>} */
const REFUSALS = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings of this page, then try again.",
  NotFoundError: "This device has no camera that the browser can use. Choose a picture instead.",
  NotReadableError: "Another program uses the camera. Close it, then try again.",
};

/**
 * Shows the camera in `video`. Its tracks end with `close`.
 *
 * @param {HTMLVideoElement} video
 * @throws {Problem}
 */
export async function openCamera(video) {
  if (!navigator.mediaDevices) throw new Problem("Browsers give the camera to https pages only. Choose a picture instead.");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    await video.play();
  } catch (error) {
    closeCamera(video);
    const name = error instanceof Error ? error.name : "";
    throw new Problem(REFUSALS[name] ?? "The camera did not start. Choose a picture instead.");
  }
}

/** @param {HTMLVideoElement} video */
export function closeCamera(video) {
  const stream = /** @type {MediaStream | null} */ (video.srcObject);
  for (const track of stream?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/**
 * Classifies frames until stopped.
 *
 * @param {HTMLVideoElement} video @param {Runner} runner @param {How} how @param {Seen} seen @param {AbortSignal} stop
 */
export async function watch(video, runner, how, seen, stop) {
  /** @type {number[]} */
  let ends = [];
  while (!stop.aborted) {
    if (document.hidden || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
      ends = [];
      await new Promise((resolve) => setTimeout(resolve, 100));
      continue;
    }
    const input = await runner.prepare(read(video, video.videoWidth, video.videoHeight), how);
    const answer = await runner.run(input, how.crop);
    const now = performance.now();
    ends = [...ends.filter((end) => now - end < WINDOW_MILLISECONDS), now];
    if (!stop.aborted) seen(answer, ends.length > 1 ? ((ends.length - 1) * 1000) / (now - ends[0]) : 0);
    // Lets the browser draw, and handle a click on stop.
    await new Promise((resolve) => setTimeout(resolve));
  }
}
