/** The latency of the last minute's words: median, p95, and where the time went (docs/protocol.md). */

import { PARTS } from "./figures.js";

export const WINDOW_MS = 60_000;

const MOST_WORDS = 5_000;

export class LatencyWindow {
  #words = [];

  /** The `latency` of a segment's revision; one without a word's latency is passed over. */
  add(latency, now) {
    if (latency?.word_latency === undefined) return;
    this.#words.push({ at: now, total: latency.word_latency, parts: PARTS.map((part) => latency[part] ?? 0) });
    if (this.#words.length > MOST_WORDS) this.#words.shift();
  }

  /** {words: [{at, total}], median, p95, parts: the means in ms, as PARTS}; all 0 if nobody spoke. */
  figures(now) {
    this.#words = this.#words.filter(({ at }) => now - at <= WINDOW_MS);
    const words = this.#words;
    const sorted = words.map(({ total }) => total).sort((a, b) => a - b);
    const percentile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    const mean = (i) => words.reduce((sum, { parts }) => sum + parts[i], 0) / (words.length || 1);
    return { words, median: percentile(0.5), p95: percentile(0.95), parts: PARTS.map((_, i) => mean(i)) };
  }
}
