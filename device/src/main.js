/** The entry point of the Streamlit component, called once at first and again for each message of the server. */

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
    // Streamlit also cleans up after a call that was replaced by a newer one.
    if (parentElement.isConnected) return;
    pages.delete(parentElement);
    page.close();
  };
}
