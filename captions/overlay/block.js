/** The captions of one speaker on the screen: a name and a few lines that roll up. What stands on a line stays there. */

import { Reading } from "./reading.js";

const LINE_CHARS = 40;

/** Lines above the uppermost that are kept so that it can be seen rolling out. */
const LINES_KEPT_ABOVE = 1;

/**
 * `show` revisions of the speaker's segments. Each segment begins on a line of its own; a word goes to the end of its
 * segment's last line while that has room, and then to a new line at the bottom. Lines are numbered from the block's
 * first; `#top` is the uppermost seen and never goes back.
 */
export class Block {
  #ruler;
  #segments = new Map();
  #lines = [];
  #next = 0;
  #top = 0;
  #rows;
  #width;
  #reading;
  #list = element("div", "lines");
  #name = element("div", "name");

  /** `rows` lines are seen at once, `width` pixels wide at most. `linger`: see options.js. */
  constructor(ruler, rows, width, linger) {
    this.#reading = new Reading(linger);
    this.root = element("div", "block");
    const band = element("div", "band");
    band.append(this.#name, this.#list);
    this.root.append(band);
    this.#ruler = ruler;
    this.#rows = rows;
    this.#width = width;
  }

  get ended() {
    return [...this.#segments.values()].every(({ ended }) => ended);
  }

  get empty() {
    return this.#lines.every(({ text }) => text === "");
  }

  /** The newest revision of each segment that is shown. */
  get segments() {
    return [...this.#segments.values()].map(({ segment }) => segment);
  }

  /** When it may go; see reading.js. */
  get clearAt() {
    return this.#reading.clearAt(this.ended);
  }

  get name() {
    return this.#name.textContent;
  }

  label(name, colour) {
    if (this.name !== name) this.#name.textContent = name;
    this.root.style.setProperty("--speaker", colour);
  }

  show(segment, now) {
    const shown = this.#segments.get(segment.id) ?? this.#begin(segment.id);
    if (shown === null) return;
    const committed = segment.words.map(({ text }) => text);
    const texts = [...committed, ...(segment.tentative ?? "").split(" ")].filter(Boolean);
    let kept = 0;
    while (kept < Math.min(shown.words.length, texts.length) && shown.words[kept].text === texts[kept]) kept++;
    this.#take(shown, kept);
    for (const text of texts.slice(kept)) this.#put(shown, text);
    for (const [i, word] of shown.words.entries()) mark(word, i >= committed.length);
    shown.segment = segment;
    shown.ended = segment.final;
    this.#scroll();
    const added = texts.slice(kept).join(" ").length;
    this.#reading.show(added, this.#visibleChars(), now);
  }

  /** No more will come of what is under way: the connection is lost. */
  interrupt() {
    for (const shown of this.#segments.values()) {
      shown.ended = true;
      this.#take(shown, shown.words.filter(({ tentative }) => !tentative).length);
    }
  }

  /** Null for a segment older than what is shown already: there is no room above that would not move it. */
  #begin(id) {
    const newest = [...this.#segments.keys()].at(-1);
    if (newest !== undefined && id < newest) return null;
    const shown = { segment: null, words: [], lines: [], ended: false };
    this.#segments.set(id, shown);
    return shown;
  }

  /** Take a segment's words from `kept` on off the screen. */
  #take(shown, kept) {
    for (const { pieces } of shown.words.splice(kept)) {
      for (const { line, before, nodes } of pieces) {
        line.text = line.text.slice(0, before);
        for (const node of nodes) node.remove();
      }
    }
    while (this.#lines.at(-1)?.text === "" && shown.lines.at(-1) === this.#lines.at(-1)) {
      shown.lines.pop();
      this.#lines.pop().root.remove();
      this.#next = Math.max(this.#top, this.#next - 1);
    }
  }

  #put(shown, text) {
    const word = { text, tentative: false, pieces: [] };
    shown.words.push(word);
    for (const piece of this.#split(text)) {
      const line = this.#lineFor(shown, piece);
      if (line === null) return;
      const span = element("span", "");
      span.textContent = piece;
      const space = line.text === "" ? "" : " ";
      const nodes = [document.createTextNode(space), span];
      word.pieces.push({ line, span, nodes, before: line.text.length });
      line.root.append(...nodes);
      line.text += space + piece;
    }
  }

  /** The line a word goes to, or null for a late word of a segment that others stand below and that is full. */
  #lineFor(shown, text) {
    const last = shown.lines.at(-1);
    const seen = last !== undefined && last.number >= this.#top;
    if (seen && (last.text === "" || this.#fits(`${last.text} ${text}`))) return last;
    if (last && this.#lines.at(-1)?.number > last.number) return null;
    const line = { number: this.#next++, text: "", root: element("div", "line") };
    line.root.style.setProperty("--row", line.number - this.#top);
    shown.lines.push(line);
    this.#lines.push(line);
    this.#list.append(line.root);
    return line;
  }

  #fits(text) {
    return text.length <= LINE_CHARS && this.#ruler.width(text) <= this.#width;
  }

  /** A word in pieces that fit on a line each; nearly always one. */
  #split(text) {
    if (this.#fits(text)) return [text];
    const pieces = [];
    let from = 0;
    for (let to = 1; to <= text.length; to++) {
      if (to - from > 1 && !this.#fits(text.slice(from, to))) {
        pieces.push(text.slice(from, to - 1));
        from = to - 1;
      }
    }
    return [...pieces, text.slice(from)];
  }

  #scroll() {
    this.#top = Math.max(this.#top, this.#next - this.#rows);
    while (this.#lines[0]?.number < this.#top - LINES_KEPT_ABOVE) this.#lines.shift().root.remove();
    for (const line of this.#lines) line.root.style.setProperty("--row", line.number - this.#top);
    this.root.style.setProperty("--rows", Math.min(this.#rows, Math.max(1, this.#next - this.#top)));
    const oldest = this.#lines[0]?.number ?? this.#next;
    for (const [id, { lines, ended }] of this.#segments) {
      if (lines.length === 0 ? ended : lines.at(-1).number < oldest) this.#segments.delete(id);
    }
  }

  #visibleChars() {
    return this.#lines.reduce((sum, { number, text }) => sum + (number >= this.#top ? text.length : 0), 0);
  }
}

function mark(word, tentative) {
  word.tentative = tentative;
  for (const { span } of word.pieces) span.classList.toggle("tentative", tentative);
}

function element(tag, name) {
  const made = document.createElement(tag);
  if (name) made.className = made.part = name;
  return made;
}
