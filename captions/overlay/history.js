/** The history panel: what was said, newest at the bottom, searched as one types. Draws a part of it at a time. */

import { gapText } from "./messages.js";
import { speakerOf } from "./transcript.js";

const DRAWN_AT_ONCE = 150;
const NEAR_END_PX = 40;
const MOST_GAPS = 20;

/** Letters without accents and case, one for one, so that a place in the folded text is a place in the text. */
function fold(text) {
  return [...text.replaceAll("’", "'")].map((letter) => letter.normalize("NFD").toLowerCase()[0]).join("");
}

/** Give it a `transcript`, and call `add` for its new final segments and `interrupt` where the connection was lost. */
export class History {
  #scroll;
  #list;
  #earlier;
  #nothing;
  #texts = null;
  #lang = "en";
  #transcript = null;
  #gaps = [];
  #shown = DRAWN_AT_ONCE;
  #query = "";

  constructor(root) {
    const search = root.querySelector(".search");
    this.#scroll = root.querySelector(".scroll");
    this.#list = root.querySelector(".said");
    this.#earlier = root.querySelector(".earlier");
    this.#nothing = root.querySelector(".nothing");
    search.addEventListener("input", () => {
      this.#query = fold(search.value.trim());
      this.#shown = DRAWN_AT_ONCE;
      this.draw();
    });
    this.#earlier.addEventListener("click", () => {
      const fromEnd = this.#scroll.scrollHeight - this.#scroll.scrollTop;
      this.#shown += DRAWN_AT_ONCE;
      this.draw();
      this.#scroll.scrollTop = this.#scroll.scrollHeight - fromEnd;
    });
  }

  set transcript(transcript) {
    this.#transcript = transcript;
    this.#gaps = [];
    this.#shown = DRAWN_AT_ONCE;
    this.draw();
  }

  speak(texts, lang) {
    this.#texts = texts;
    this.#lang = lang;
    this.draw();
  }

  interrupt(gap) {
    this.#gaps = [...this.#gaps.slice(1 - MOST_GAPS), { ...gap, after: this.#transcript.newest }];
    this.draw();
  }

  /** Draw the newest that match; the reader's place in the list is kept. */
  draw() {
    if (!this.#transcript || !this.#texts) return;
    const scroll = this.#scroll;
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
    const entries = this.#entries();
    const drawn = entries.slice(-this.#shown);
    this.#update(drawn);
    this.#earlier.hidden = drawn.length === entries.length;
    this.#nothing.hidden = entries.length > 0;
    this.#nothing.textContent = this.#query ? this.#texts.noMatch : this.#texts.nothing;
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  #entries() {
    const said = this.#transcript.finals
      .filter(({ text }) => !this.#query || fold(text).includes(this.#query))
      .map((segment) => ({ key: segment.id, at: this.#transcript.at(segment, segment.start), segment }));
    const gaps = this.#query ? [] : this.#gaps.map((gap) => ({ key: `${gap.after}~${gap.from}`, at: gap.from, gap }));
    return [...said, ...gaps].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Keeps the nodes of what stays: a reader's selection and the screen reader's place survive new captions. */
  #update(entries) {
    const list = this.#list;
    const known = new Map([...list.children].map((node) => [node.dataset.key, node]));
    let speaker = null;
    const nodes = entries.map((entry) => {
      const mine = entry.segment ? entry.segment.track : null;
      const node = this.#node(known.get(entry.key), entry, mine !== speaker);
      speaker = mine;
      return node;
    });
    const kept = new Set(nodes);
    for (const node of known.values()) if (!kept.has(node)) node.remove();
    nodes.forEach((node, i) => {
      if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
    });
  }

  #node(known, { key, at, segment, gap }, named) {
    const node = known ?? document.createElement("li");
    const face = JSON.stringify([this.#query, this.#lang, named, Math.round(at / 1_000)]);
    if (node.dataset.face === face) return node;
    node.dataset.key = key;
    node.dataset.face = face;
    node.className = gap ? "gap" : named ? "turn" : "";
    const time = document.createElement("time");
    time.textContent = new Date(at).toLocaleTimeString(this.#lang);
    const text = document.createElement("p");
    if (gap) {
      text.textContent = gapText(this.#texts.interrupted, gap);
      node.replaceChildren(time, text);
      return node;
    }
    text.append(...this.#marked(segment.text));
    const name = document.createElement("b");
    name.textContent = speakerOf(segment);
    node.replaceChildren(...(named ? [name, time, text] : [text]));
    return node;
  }

  /** The text with what is searched for marked. */
  #marked(text) {
    if (!this.#query) return [text];
    const folded = fold(text);
    const letters = [...text];
    const pieces = [];
    let from = 0;
    for (let at = folded.indexOf(this.#query); at >= 0; at = folded.indexOf(this.#query, from)) {
      const mark = document.createElement("mark");
      mark.textContent = letters.slice(at, at + this.#query.length).join("");
      pieces.push(letters.slice(from, at).join(""), mark);
      from = at + this.#query.length;
    }
    return [...pieces, letters.slice(from).join("")];
  }
}
