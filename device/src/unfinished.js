/** A measurement that killed its tab. The tab itself cannot say so; the page that is loaded into it next can. */

const KEY = "deit-deploy-measuring";

/** Only a tab that crashes leaves without `pagehide`, and each has a session storage of its own. @param {string} what */
export function begin(what) {
  keep(what);
  addEventListener("pagehide", end);
}

export function end() {
  removeEventListener("pagehide", end);
  keep("");
}

/** What was being measured when this tab crashed; empty where it did not, and from the second question on. */
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
    // A browser that keeps nothing for pages cannot tell later, either.
  }
}
