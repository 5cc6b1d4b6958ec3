/** How long captions stay (docs/overlay.md): about 1.5 s after speech ends or a second for every 15 characters. */

const LINGER_MS = { auto: 1_500, 5: 5_000, 10: 10_000, replaced: Infinity };
const MS_PER_CHAR = 1_000 / 15;

/** A speech whose end nobody told, because the connection or the sender went away, ends after this. */
const SILENT_MS = 15_000;

/**
 * A reader with 15 characters a second, who cannot read ahead: what comes at once takes its time, what comes slowly has
 * been read as it came. All times in ms.
 */
export class Reading {
  #readAt = 0;
  #newsAt = 0;
  #linger;

  /** `linger`: see options.js. */
  constructor(linger) {
    this.#linger = LINGER_MS[linger];
  }

  /** `chars` more are shown; of all that was shown `visible` characters can still be seen. */
  show(chars, visible, now) {
    const readAt = Math.max(this.#readAt, now) + chars * MS_PER_CHAR;
    this.#readAt = Math.min(readAt, now + visible * MS_PER_CHAR);
    this.#newsAt = now;
  }

  /** When it may go, speech having ended or not. */
  clearAt(ended) {
    return Math.max(this.#readAt, this.#newsAt + (ended ? this.#linger : Math.max(SILENT_MS, this.#linger)));
  }
}
