/** Where captions stand: a place for each speaker who is being read, none of which ever moves. */

import { Block } from "./block.js";
import { colour, Places } from "./palette.js";
import { Ruler } from "./ruler.js";

/** Room for a line of 40 characters (block.js) that has more wide letters than most. */
const MEASURE_CHARS = 43;
const FADE_MS = 200;
const SPEAKING_MS = 1_500;
/** Whoever has no place is counted for so long after their last word. */
const UNSEEN_MS = 2_000;
const MOST_REMEMBERED = 500;

/** In multiples of the text's size. */
const LINE_HEIGHT = 1.4;
const NAME_HEIGHT = 1.25;
const PADDING = 0.35;
const SIDE_PADDING = 0.75;
const GAP = 0.4;

/**
 * `fit`, then `show` segments as they arrive. Places are numbered from the edge the captions stand at. A speaker gets
 * the place they had before if it is free, else the free one nearest the edge, else that of whoever is silent longest.
 * Who is speaking is never taken off: where all places are, who comes has to wait.
 */
export class Stage {
  #root;
  #options = null;
  #width = 0;
  #capacity = 0;
  #ruler = new Ruler();
  #colours = new Places();
  #shown = new Map();
  #placeBefore = new Map();
  #unseen = new Map();
  #unseenTimer = 0;
  #tellUnseen;
  #timer = 0;

  /** `tellUnseen(count)`: how many speak for whom there is no place, "" for none. */
  constructor(root, tellUnseen) {
    this.#root = root;
    this.#tellUnseen = tellUnseen;
  }

  /** Lay out for these options in a box of that size; what is shown already is laid out anew. */
  fit(options, width, height, now) {
    const { size, lines, names, speakers, theme, background } = options;
    this.#options = options;
    const { fontFamily, fontWeight } = getComputedStyle(this.#root);
    this.#ruler.font = `${fontWeight} ${size}px ${fontFamily}`;
    const sides = 2 * SIDE_PADDING * size;
    const place = ((names ? NAME_HEIGHT : 0) + lines * LINE_HEIGHT + 2 * PADDING + GAP) * size;
    this.#width = Math.max(size, Math.min(width - sides, this.#ruler.widthOf(MEASURE_CHARS)));
    this.#capacity = Math.min(speakers, Math.max(1, Math.floor(height / place)));
    this.#root.style.setProperty("--opacity", `${theme === "contrast" ? 100 : background}%`);
    this.#style({
      size,
      line: LINE_HEIGHT * size,
      name: NAME_HEIGHT * size,
      padding: PADDING * size,
      side: SIDE_PADDING * size,
      place,
      measure: Math.ceil(this.#width + sides),
    });
    for (const [track, shown] of [...this.#shown]) this.#layOutAnew(track, shown, now);
  }

  /** `name`: what the reader calls the speaker. */
  show(segment, name, now) {
    const { track, words, tentative } = segment;
    if (!this.#shown.has(track) && words.length === 0 && !tentative) return;
    const shown = this.#shown.get(track) ?? this.#open(track, now);
    if (!shown) this.#unseen.set(track, now);
    if (!shown || this.#unseen.delete(track)) this.#countUnseen(now);
    if (!shown) return;
    shown.at = now;
    shown.block.label(name, this.colourOf(segment));
    shown.block.show(segment, now);
    if (shown.block.empty && shown.block.ended) this.#close(track);
    this.#clearInTime(now);
  }

  colourOf({ participant }) {
    return colour(this.#options.theme, this.#colours.of(participant.id));
  }

  /** The newest revision of all that is shown. */
  get segments() {
    return [...this.#shown.values()].flatMap(({ block }) => block.segments);
  }

  /** Again and again until nobody is left of whom anything was heard lately. */
  #countUnseen(now) {
    clearTimeout(this.#unseenTimer);
    for (const [track, at] of this.#unseen) if (now - at >= UNSEEN_MS) this.#unseen.delete(track);
    this.#tellUnseen(this.#unseen.size || "");
    if (this.#unseen.size > 0) this.#unseenTimer = setTimeout(() => this.#countUnseen(performance.now()), UNSEEN_MS);
  }

  /** The connection is lost: nothing that is under way will be ended by the server. */
  interrupt(now) {
    for (const { block } of this.#shown.values()) block.interrupt();
    this.#clearInTime(now);
  }

  clear() {
    for (const track of [...this.#shown.keys()]) this.#close(track);
    clearTimeout(this.#timer);
    this.#unseen.clear();
    this.#countUnseen(0);
  }

  #style(pixels) {
    for (const [name, value] of Object.entries(pixels)) this.#root.style.setProperty(`--${name}`, `${value}px`);
  }

  #layOutAnew(track, { block, place, at }, now) {
    const { segments, name } = block;
    this.#close(track);
    if (place >= this.#capacity) return;
    this.#put(track, place, at);
    for (const segment of segments) this.show(segment, name, now);
  }

  #open(track, now) {
    const taken = new Set([...this.#shown.values()].map(({ place }) => place));
    const free = Array.from({ length: this.#capacity }, (_, place) => place).filter((place) => !taken.has(place));
    const before = this.#placeBefore.get(track);
    const place = free.includes(before) ? before : (free[0] ?? this.#giveUpStalest(now));
    return place === null ? null : this.#put(track, place, now);
  }

  /** The place of whoever was silent longest, or null if all speak. */
  #giveUpStalest(now) {
    const [track, { place, at }] = [...this.#shown].reduce((a, b) => (a[1].at <= b[1].at ? a : b));
    if (now - at < SPEAKING_MS) return null;
    this.#close(track);
    return place;
  }

  #put(track, place, at) {
    const block = new Block(this.#ruler, this.#options.lines, this.#width, this.#options.linger);
    const shown = { block, place, at };
    block.root.style.setProperty("--at", place);
    this.#root.append(block.root);
    this.#shown.set(track, shown);
    this.#placeBefore.delete(track);
    this.#placeBefore.set(track, place);
    if (this.#placeBefore.size > MOST_REMEMBERED) this.#placeBefore.delete(this.#placeBefore.keys().next().value);
    return shown;
  }

  #close(track) {
    this.#shown.get(track).block.root.remove();
    this.#shown.delete(track);
  }

  #clearInTime(now) {
    clearTimeout(this.#timer);
    const next = Math.min(...[...this.#shown.values()].map(({ block }) => block.clearAt));
    if (next < Infinity) this.#timer = setTimeout(() => this.#clearDue(performance.now()), Math.max(0, next - now));
  }

  #clearDue(now) {
    for (const [track, { block }] of [...this.#shown]) {
      if (block.clearAt <= now) this.#fade(track, block.root);
    }
    this.#clearInTime(now);
  }

  /** Its place is free at once: who speaks next need not wait for the fading. */
  #fade(track, root) {
    this.#shown.delete(track);
    const still = this.#options.motion === "reduced" || matchMedia("(prefers-reduced-motion: reduce)").matches;
    root.classList.add("fading");
    setTimeout(() => root.remove(), still ? 0 : FADE_MS);
  }
}
