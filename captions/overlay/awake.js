/** The screen stays on while captions come: who reads touches nothing. */

const SILENT_MS = 10 * 60_000;

let lock = null;
let silence = 0;

/** Call at every caption. */
export async function stayAwake() {
  clearTimeout(silence);
  silence = setTimeout(letSleep, SILENT_MS);
  if (lock || document.visibilityState !== "visible") return;
  try {
    lock = await navigator.wakeLock.request("screen"); // Given back by the browser when the page is out of sight.
    lock.addEventListener("release", () => (lock = null));
  } catch {
    // Not here, or not over plain http, or the battery is low.
  }
}

function letSleep() {
  lock?.release();
}
