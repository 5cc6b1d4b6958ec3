/** The history panel: what was said, newest at the bottom, searched as one types. Draws a part of it at a time. */

import { filled, lengthOf, message } from "./messages.js";
import { pick } from "./texts.js";
import { startOf } from "./transcript.js";

const styles = new CSSStyleSheet();

styles.replaceSync(`
.said { font-size: var(--reading, 1rem); }
.said .turn { margin-block-start: .9rem; }
.said p, .said b { unicode-bidi: plaintext; }
.said .missing { font-style: italic; color: var(--soft); }
.said b { margin-inline-end: .6rem; }
.said .gap { display: flex; gap: .6rem; margin-block: .9rem; border-block: 1px dashed var(--field); padding-block: .3rem; }
mark { background: #ffe08a; color: #161a24; }
`);

document.adoptedStyleSheets.push(styles);

const TEXTS = {
  earlier: ["Show earlier", "Voir plus haut"],
  noMatch: ["Nothing like this was said.", "Rien de tel n’a été dit."],
  forgotten: ["%s earlier captions are no longer kept.", "%s sous-titres antérieurs ne sont plus gardés."],
  interrupted: ["Interrupted for %s s", "Interrompu pendant %s s"],
};
const DRAWN_AT_ONCE = 150;
const NEAR_END_PX = 40;
const MOST_GAPS = 20;
const MINUTE_MS = 60_000;

/** Letters without accents and case, one for one, so that a place in the folded text is a place in the text. */
function fold(text) {
  return [...text.replaceAll("’", "'")].map((letter) => letter.normalize("NFD").toLowerCase()[0]).join("");
}

/**
 * Give it a `transcript`, and `draw` when there is more in it, with the gaps where the connection was lost: {from, to} in
 * ms since 1970. `name(caption)` is what the reader calls its speaker. Loaded once something was said.
 */
export class History {
  #scroll;
  #list;
  #earlier;
  #forgotten;
  #nothing;
  #name;
  #texts = null;
  #lang = "en";
  #clock = null;
  #transcript = null;
  #gaps = [];
  #shown = DRAWN_AT_ONCE;
  #query = "";
  #folded = new WeakMap();

  constructor(root, name) {
    const search = root.querySelector(".search");
    this.#name = name;
    this.#scroll = root.querySelector(".scroll");
    this.#list = root.querySelector(".said");
    this.#earlier = root.querySelector(".earlier");
    this.#forgotten = root.querySelector(".forgotten");
    this.#nothing = root.querySelector(".nothing");
    search.addEventListener("input", () => {
      this.#query = fold(search.value.trim());
      this.#shown = DRAWN_AT_ONCE;
      this.draw();
    });
    this.#earlier.addEventListener("click", () => {
      this.#shown += DRAWN_AT_ONCE;
      this.draw();
    });
  }

  set transcript(transcript) {
    this.#transcript = transcript;
    this.#gaps = [];
    this.#shown = DRAWN_AT_ONCE;
    this.draw();
  }

  speak(texts, lang) {
    this.#texts = { ...texts, ...pick(TEXTS, lang) };
    this.#lang = lang;
    this.#earlier.textContent = this.#texts.earlier;
    const regional = navigator.languages.find((tag) => tag.startsWith(lang)) ?? lang;
    this.#clock = new Intl.DateTimeFormat(regional, { timeStyle: "medium" });
    this.draw();
  }

  /** Draw the newest that match. Whoever reads further up has before them what they had, whatever comes. */
  draw(gaps = this.#gaps) {
    this.#gaps = gaps.slice(-MOST_GAPS);
    if (!this.#transcript || !this.#texts) return;
    const scroll = this.#scroll;
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
    const held = atEnd ? null : this.#firstSeen();
    const entries = this.#entries();
    const first = atEnd ? -1 : entries.findIndex(({ key }) => key === this.#list.firstElementChild?.dataset.key);
    if (atEnd) this.#shown = DRAWN_AT_ONCE;
    else if (first >= 0) this.#shown = Math.max(this.#shown, entries.length - first);
    this.#update(entries.slice(-this.#shown));
    this.#earlier.hidden = entries.length <= this.#shown;
    const { forgotten } = this.#transcript;
    this.#forgotten.hidden = !forgotten || !this.#earlier.hidden || this.#query !== "";
    this.#forgotten.textContent = filled(this.#texts.forgotten, forgotten.toLocaleString(this.#lang));
    this.#nothing.textContent = this.#query ? this.#texts.noMatch : this.#texts.nothing;
    this.#nothing.hidden = entries.length > 0;
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
    else if (held?.node.isConnected) scroll.scrollTop += held.node.getBoundingClientRect().top - held.top;
  }

  /** The uppermost entry before the reader's eyes, and where it stands. */
  #firstSeen() {
    const { top } = this.#scroll.getBoundingClientRect();
    const node = [...this.#list.children].find((entry) => entry.getBoundingClientRect().bottom > top);
    return node && { node, top: node.getBoundingClientRect().top };
  }

  #entries() {
    const said = this.#query ? this.#transcript.said.filter((caption) => this.#matches(caption)) : this.#transcript.said;
    const entries = said.map((caption) => ({ key: caption.id, at: startOf(caption), caption }));
    if (this.#query || this.#gaps.length === 0) return entries;
    const gaps = this.#gaps.map((gap) => ({ key: `gap ${gap.from}`, at: gap.from, gap }));
    return [...entries, ...gaps].sort((a, b) => a.at - b.at);
  }

  #matches(caption) {
    if (!caption.text) return false;
    let folded = this.#folded.get(caption);
    if (folded === undefined) this.#folded.set(caption, (folded = fold(caption.text)));
    return folded.includes(this.#query);
  }

  /** Keeps the nodes of what stays: a reader's selection and the screen reader's place survive new captions. */
  #update(entries) {
    const list = this.#list;
    const known = new Map([...list.children].map((node) => [node.dataset.key, node]));
    let speaker = null;
    let minute = null;
    const nodes = entries.map((entry) => {
      const mine = entry.caption ? entry.caption.track : null;
      const timed = this.#query !== "" || Math.floor(entry.at / MINUTE_MS) !== minute || mine !== speaker;
      const node = this.#node(known.get(entry.key), entry, mine !== speaker, timed);
      speaker = mine;
      minute = Math.floor(entry.at / MINUTE_MS);
      return node;
    });
    const kept = new Set(nodes);
    for (const node of known.values()) if (!kept.has(node)) node.remove();
    nodes.forEach((node, i) => {
      if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
    });
  }

  #node(known, { key, at, caption, gap }, named, timed) {
    const node = known ?? document.createElement("li");
    const name = named && caption ? this.#name(caption) : "";
    const text = gap
      ? filled(this.#texts.interrupted, lengthOf(gap.from, gap.to))
      : (caption.text ?? filled(message("uncaptioned", this.#lang), lengthOf(caption.start * 1_000, caption.end * 1_000)));
    const time = timed ? this.#clock.format(at) : "";
    const face = JSON.stringify([name, time, text, this.#query]);
    if (node.dataset.face === face) return node;
    node.dataset.key = key;
    node.dataset.face = face;
    node.className = gap ? "gap" : named ? "turn" : "";
    const said = make("p", ...(caption?.text ? this.#marked(text) : [text]));
    if (caption && !caption.text) said.className = "missing";
    node.replaceChildren(...(name ? [make("b", name)] : []), ...(time ? [make("time", time)] : []), said);
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
      pieces.push(letters.slice(from, at).join(""), make("mark", letters.slice(at, at + this.#query.length).join("")));
      from = at + this.#query.length;
    }
    return [...pieces, letters.slice(from).join("")];
  }
}

function make(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}
