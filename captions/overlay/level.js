/** How loud the microphone hears, as a bar beside what is said of it. */

/** Peaks under this are what a microphone gives that is turned off (-50 dBFS). */
const SILENT = 0.003;
const PATIENCE_MS = 5_000;
const DRAW_EVERY_MS = 100;
/** What is heard between -60 and 0 dBFS fills the bar. */
const RANGE_DB = 60;

/** `hear` every frame; `on.silent()` once nothing was heard for five seconds, `on.heard()` once something is again. */
export class Level {
  #meter = Object.assign(document.createElement("meter"), { min: 0, max: 1 });
  #on;
  #peak = 0;
  #drawnAt = 0;
  #loudAt = null;
  #silent = false;

  /** The bar is put before `status`; `label` says what it is. */
  constructor(status, label, on) {
    this.#on = on;
    this.#meter.ariaLabel = label;
    this.#meter.style.inlineSize = "6rem";
    status.before(this.#meter);
  }

  hear(frame, now) {
    for (const sample of frame) this.#peak = Math.max(this.#peak, Math.abs(sample));
    this.#loudAt ??= now;
    if (this.#peak > SILENT) this.#loudAt = now;
    const silent = now - this.#loudAt > PATIENCE_MS;
    if (silent !== this.#silent) this.#on[silent ? "silent" : "heard"]();
    this.#silent = silent;
    if (now - this.#drawnAt < DRAW_EVERY_MS) return;
    this.#drawnAt = now;
    this.#meter.value = 1 + (20 * Math.log10(Math.max(this.#peak, 1e-4))) / RANGE_DB;
    this.#peak = 0;
  }

  remove() {
    this.#meter.remove();
  }
}
