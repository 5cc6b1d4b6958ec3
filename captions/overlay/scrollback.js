/** Captions scrolled back: what rolled away, for as long as one reads it. Loaded once a pointer or the focus comes. */

import { filled, language, lengthOf, message } from "./messages.js";
import { startOf } from "./transcript.js";

const TEXTS = { live: ["Back to live", "Revenir au direct"], past: ["What was said", "Ce qui a été dit"] };
const DRAWN_AT_ONCE = 50;
/** Half as long again as 15 characters a second take for what is seen at once. Who reads on scrolls in that time. */
const UNMOVED_MS = 60_000;
const NEAR_PX = 4;
const UPWARDS = ["ArrowUp", "PageUp", "Home"];
const LOOKS = ["--ink", "--band", "--opacity", "--size", "--line", "--side", "--measure"];

const styles = new CSSStyleSheet();

styles.replaceSync(`
.back:is(:host(:hover) *, :focus-visible), .live {
  position: absolute;
  inline-size: auto;
  block-size: auto;
  min-block-size: 1.75rem;
  clip-path: none;
  inset: .5rem auto auto .5rem;
  padding: .2rem .8rem;
  border: 1px solid #fff;
  border-radius: 2rem;
  background: #2b2b2b;
  color: #fff;
  font: inherit;
  font-size: .875rem;
  line-height: 1.4;
  cursor: pointer;
}
.top ~ .back:is(:host(:hover) *, :focus-visible) { inset-block: auto .5rem; }
.back:focus-visible, .live:focus-visible, .pane:focus-visible { outline: 3px solid #9fb2ff; outline-offset: -3px; }
.past ~ .back { display: none; }
.past {
  position: absolute;
  inset: auto 0 0;
  display: flex;
  flex-direction: column;
  max-block-size: min(var(--height), 14 * var(--line) + 3rem);
  inline-size: min(100%, var(--measure));
  margin-inline: auto;
  border-radius: .3em;
  background: rgb(var(--band) / var(--opacity));
  color: rgb(var(--ink));
  font-size: var(--size);
  line-height: var(--line);
}
.past.top { inset-block: 0 auto; }
.past.left { margin-inline: 0 auto; }
.past.right { margin-inline: auto 0; }
.pane {
  padding: .35em var(--side) 0;
  overflow: auto;
  overflow-anchor: none;
  overscroll-behavior: contain;
  overflow-wrap: anywhere;
}
.pane p { margin: 0 0 .35em; unicode-bidi: plaintext; }
.pane b { display: block; color: var(--speaker); font-size: .72em; unicode-bidi: plaintext; }
.live { position: static; flex: none; align-self: end; margin: .25rem .5rem .5rem; }
@media (forced-colors: active) {
  .past { border: 1px solid CanvasText; background: Canvas; }
  .past, .pane b { color: CanvasText; }
}
`);

/**
 * A wheel, a finger, a key or the button opens it. It goes at its end, with Escape, by its button, and by itself where
 * nobody scrolls. `captions`: the element; `stage`: its stage, hidden meanwhile.
 */
export class Scrollback {
  #captions;
  #stage;
  #root;
  #back;
  #past = null;
  #pane = null;
  #nodes = new Map();
  #drawn = DRAWN_AT_ONCE;
  #left = false;
  #touchedAt = null;
  #timer = 0;
  #draws = () => this.#draw();

  constructor(captions, stage) {
    const root = captions.shadowRoot;
    this.#captions = captions;
    this.#stage = stage;
    this.#root = root.querySelector(".stage");
    this.#back = root.querySelector(".back");
    root.adoptedStyleSheets.push(styles);
    this.#back.addEventListener("click", () => this.#open(0, true));
    this.#back.addEventListener("keydown", (event) => {
      if (UPWARDS.includes(event.key) && this.#open(0, true)) event.preventDefault();
    });
    this.#root.addEventListener("wheel", (event) => {
      if (event.deltaY < 0 && !event.ctrlKey && onCaptions(event) && this.#open(event.deltaY)) event.preventDefault();
    });
    this.#root.addEventListener("touchstart", (event) => {
      this.#touchedAt = onCaptions(event) ? event.touches[0].clientY : null;
    });
    this.#root.addEventListener("touchmove", (event) => this.#drag(event));
  }

  /** Live again. */
  close() {
    if (!this.#past) return;
    const focused = this.#past.contains(this.#captions.shadowRoot.activeElement);
    clearTimeout(this.#timer);
    for (const type of ["segment", "uncaptioned"]) this.#captions.removeEventListener(type, this.#draws);
    this.#past.remove();
    this.#past = null;
    this.#nodes.clear();
    this.#root.style.visibility = "";
    if (focused) this.#back.focus();
  }

  /** A finger that began on live captions moves what it opened. */
  #drag(event) {
    if (this.#touchedAt === null) return;
    const { clientY } = event.touches[0];
    const moved = this.#touchedAt - clientY;
    if (!event.cancelable || (!this.#past && (moved >= 0 || !this.#open(0)))) return;
    event.preventDefault();
    this.#pane.scrollTop += moved;
    this.#touchedAt = clientY;
  }

  /** Whether there is anything to go back to. `by`: pixels upwards are negative. */
  #open(by, focus = false) {
    if (this.#past) return true;
    if (this.#said().length === 0) return false;
    const lang = language(this.#captions.options.lang);
    const text = (name) => TEXTS[name][lang === "en" ? 0 : 1];
    const live = part("button", "live");
    this.#pane = part("div", "pane");
    this.#past = part("div", "past");
    this.#past.classList.add(...this.#root.classList);
    this.#past.classList.remove("stage");
    this.#past.lang = lang;
    live.textContent = text("live");
    live.addEventListener("click", () => this.close());
    Object.assign(this.#pane, { tabIndex: 0, role: "group", ariaLabel: text("past") });
    this.#pane.addEventListener("scroll", () => this.#scrolled());
    this.#pane.addEventListener("wheel", ({ deltaY }) => {
      if (deltaY > 0 && this.#atEnd) this.close();
    });
    this.#past.addEventListener("keydown", (event) => this.#key(event));
    for (const type of ["pointermove", "keydown"]) this.#past.addEventListener(type, () => this.#wait());
    const looks = getComputedStyle(this.#root);
    for (const name of LOOKS) this.#past.style.setProperty(name, looks.getPropertyValue(name));
    this.#past.style.setProperty("--height", `${this.#captions.clientHeight}px`);
    this.#past.style.fontFamily = this.#root.style.fontFamily;
    this.#past.append(this.#pane, live);
    this.#root.after(this.#past);
    this.#root.style.visibility = "hidden";
    for (const type of ["segment", "uncaptioned"]) this.#captions.addEventListener(type, this.#draws);
    this.#drawn = DRAWN_AT_ONCE;
    this.#left = false;
    this.#draw();
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#pane.scrollBy(0, by || -this.#pane.clientHeight / 2);
    if (focus) this.#pane.focus();
    this.#wait();
    return true;
  }

  get #atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#pane;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  #scrolled() {
    this.#wait();
    if (this.#left && this.#atEnd) {
      this.close();
      return;
    }
    this.#left = !this.#atEnd;
    if (this.#pane.scrollTop > this.#pane.clientHeight || this.#drawn >= this.#said().length) return;
    const below = this.#pane.scrollHeight - this.#pane.scrollTop;
    this.#drawn += DRAWN_AT_ONCE;
    this.#draw();
    this.#pane.scrollTop = this.#pane.scrollHeight - below;
  }

  #key(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    this.close();
  }

  /** Nobody is left behind for having gone away. */
  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), UNMOVED_MS);
  }

  /** What is over, and of what is under way what was said already. */
  #said() {
    const { said } = this.#captions.transcript;
    const underWay = this.#stage.segments.filter(({ final, text }) => !final && text);
    return [...said, ...underWay].sort((a, b) => startOf(a) - startOf(b));
  }

  /** Nodes stay: what comes stands below what is being read. */
  #draw() {
    const said = this.#said().slice(-this.#drawn);
    const nodes = said.map((caption, i) => this.#node(caption, said[i - 1]?.track !== caption.track));
    this.#nodes = new Map(said.map(({ id }, i) => [id, nodes[i]]));
    for (const node of [...this.#pane.children]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, i) => {
      if (this.#pane.children[i] !== node) this.#pane.insertBefore(node, this.#pane.children[i] ?? null);
    });
  }

  #node(caption, named) {
    const node = this.#nodes.get(caption.id) ?? document.createElement("p");
    const { lang } = this.#past;
    const name = named ? this.#captions.nameOf(caption) : "";
    const text = caption.text ?? filled(message("uncaptioned", lang), lengthOf(caption.start * 1_000, caption.end * 1_000));
    if (node.dataset.face === name + text) return node;
    node.dataset.face = name + text;
    node.replaceChildren(text);
    if (!name) return node;
    const speaker = document.createElement("b");
    speaker.textContent = name;
    speaker.style.setProperty("--speaker", this.#stage.colourOf(caption));
    node.prepend(speaker);
    return node;
  }
}

/** Beside them a wheel or a finger scrolls the page. */
function onCaptions({ target }) {
  return target.closest(".band") !== null;
}

function part(tag, name) {
  const made = document.createElement(tag);
  made.className = made.part = name;
  return made;
}
