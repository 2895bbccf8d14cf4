/** What the Streamlit component calls: once at first, and again whenever the server has something new to say. */

import { Page } from "./page.js";

/**
 * @typedef {import("./page.js").Data} Data
 * @typedef {{parentElement: ShadowRoot, data: Data, setTriggerValue: (name: string, value: unknown) => void}} Component
 */

/** @type {WeakMap<ShadowRoot, Page>} */
const pages = new WeakMap();

/** @param {Component} component */
export function mount({ parentElement, data, setTriggerValue }) {
  const page = pages.get(parentElement) ?? new Page(parentElement);
  pages.set(parentElement, page);
  page.update(data, setTriggerValue);
  return () => {
    // Streamlit also cleans up after a call that a newer one overtook.
    if (parentElement.isConnected) return;
    pages.delete(parentElement);
    page.close();
  };
}
