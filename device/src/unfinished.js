/** Remembers a measurement that crashed its tab, so that the next page in this tab can tell the person. */

const KEY = "deit-deploy-measuring";

/** Notes what is being measured, until `pagehide`. Only a tab that crashes ends without it. @param {string} what */
export function begin(what) {
  keep(what);
  addEventListener("pagehide", end);
}

export function end() {
  removeEventListener("pagehide", end);
  keep("");
}

/** What was being measured when this tab crashed. Empty if it did not crash, and from the second call on. */
export function unfinished() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  } finally {
    keep("");
  }
}

/** @param {string} what */
function keep(what) {
  try {
    if (what) sessionStorage.setItem(KEY, what);
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser without session storage cannot report the crash later.
  }
}
