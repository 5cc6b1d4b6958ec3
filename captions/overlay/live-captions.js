/**
 * <live-captions room="…">: the captions of a room.
 *
 * Attributes: `room`; `src`, the server (default: where this module came from); `token`, a watch key or a room token;
 * and every option of options.js. Property `options` sets options from a script and wins over attributes; `transcript` is
 * what was said; `self` the id of the participant who reads, whose name they read is "You".
 * Events: `segment` ({segment, old}), `old` if it was over before we came; `uncaptioned` ({uncaptioned, old}), what is
 * missing; `connection` ({state, gap}); `watching` ({languages}); `tokenneeded` ({room}), once a token has ended: set
 * `token` anew.
 */

import { Feed } from "./feed.js";
import { filled, language, languageNames, lengthOf, message } from "./messages.js";
import { DEFAULTS, OPTIONS, readOptions } from "./options.js";
import { Stage } from "./stage.js";
import { styles } from "./styles.js";
import { speakerOf, Transcript } from "./transcript.js";

const SERVER = new URL("..", import.meta.url).href;
const GAP_NOTICE_MS = 6_000;
/** For who waits: what is heard here. On air or over a picture it must not stay. */
const HINT_MS = 12_000;
const MOST_LOGGED = 50;
const SOURCE = ["src", "room"];

export class LiveCaptions extends HTMLElement {
  static observedAttributes = [...SOURCE, "token", ...Object.keys(OPTIONS)];

  transcript = new Transcript();
  self = null;
  #set = {};
  #feed = null;
  #alive = false;
  #beginning = false;
  #languages = [];
  #returned = false;
  #askedAfter = null;
  #noticeTimer = 0;
  #stageRoot = part("div", "stage");
  #notice = part("p", "notice");
  #hint = part("p", "hint");
  #hintTimer = 0;
  #log = part("div", "log");
  #more = part("p", "more");
  #back = part("button", "back");
  #scrollback = null;
  #stage = new Stage(this.#stageRoot, (unseen) => this.#tellMore(unseen));
  #sentences = null;
  #resized = new ResizeObserver(() => this.#fit());

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styles];
    this.#stageRoot.setAttribute("aria-live", "off");
    this.#notice.setAttribute("role", "status");
    root.append(this.#stageRoot, this.#more, this.#hint, this.#notice, this.#back, this.#log);
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.#mayScroll());
  }

  /** All options in force. */
  get options() {
    return { ...DEFAULTS, ...readOptions((name) => this.getAttribute(name)), ...this.#set };
  }

  set options(options) {
    this.#set = { ...options };
    if (this.#alive) this.#applyOptions();
  }

  connectedCallback() {
    this.#alive = true;
    this.#applyOptions();
    this.#resized.observe(this);
    this.#begin();
  }

  /** Show a line as it would look, of nobody's: for settings. */
  preview(name, text) {
    this.#stage.clear();
    const words = text.split(" ").map((word) => ({ text: word }));
    const caption = { id: "preview", track: "preview", participant: { id: "preview" }, words, final: true };
    this.#stage.show(caption, name, performance.now());
  }

  disconnectedCallback() {
    this.#alive = false;
    this.#resized.disconnect();
    this.#unwatch();
  }

  /** Elements that the parser made, and most that a script makes, get their attributes one by one. */
  attributeChangedCallback(name, before, value) {
    if (!this.#alive || before === value) return;
    if (SOURCE.includes(name)) this.#begin();
    else if (name === "token") this.#renew(value);
    else this.#applyOptions();
  }

  #message(name) {
    return message(name, language(this.options.lang));
  }

  #applyOptions() {
    const { theme, position, align, names, motion, announce, lang, font, outline, notices } = this.options;
    this.#stageRoot.className = "stage";
    this.#stageRoot.classList.add(theme, position, align);
    this.#stageRoot.classList.toggle("outlined", outline);
    this.#stageRoot.classList.toggle("unnoticed", !notices);
    this.#stageRoot.style.fontFamily = font;
    this.#stageRoot.classList.toggle("nameless", !names);
    this.#stageRoot.classList.toggle("still", motion === "reduced");
    // Who has the log read aloud must not meet every word a second time.
    this.#stageRoot.ariaHidden = announce ? "true" : null;
    this.#log.role = announce ? "log" : null;
    this.#log.ariaLabel = announce ? this.#message("log") : null;
    if (announce) {
      this.#sentences ??= import("./sentences.js").then(
        ({ Sentences }) => new Sentences((speaker, text) => this.#announce(speaker, text)),
      );
    } else {
      this.#sentences?.then((sentences) => sentences.clear());
      this.#log.replaceChildren();
    }
    this.#back.textContent = this.#message("back");
    this.#scrollback?.close();
    this.shadowRoot.querySelectorAll(".notice, .hint, .more, .back, .log").forEach((node) => (node.lang = language(lang)));
    if (this.#hint.textContent) this.#welcome();
    this.#fit();
  }

  #fit() {
    this.#stage.fit(this.options, this.clientWidth, this.clientHeight, performance.now());
  }

  /** Begin anew once all attributes are there. Another room has another transcript. */
  #begin() {
    this.#unwatch();
    this.transcript = new Transcript();
    if (this.#beginning) return;
    this.#beginning = true;
    queueMicrotask(() => {
      this.#beginning = false;
      if (this.#alive) this.#watch();
    });
  }

  #watch() {
    const room = this.getAttribute("room");
    if (!room) return;
    const base = new URL(this.getAttribute("src") ?? SERVER, document.baseURI);
    this.#feed = new Feed(base, room, this.getAttribute("token"), {
      watching: ({ languages }) => this.#hears(languages),
      caption: (caption, backlog) => this.#caption(caption, backlog),
      state: (state, gap) => this.#state(state, gap),
    });
    this.#feed.open();
  }

  /** The captions of the same room go on with another token. */
  #renew(token) {
    if (this.#feed) this.#feed.token = token;
  }

  #unwatch() {
    this.#feed?.close();
    this.#feed = null;
    this.#returned = false;
    this.#stage.clear();
    this.#scrollback?.close();
    this.#back.hidden = true;
    this.#sentences?.then((sentences) => sentences.clear());
    this.#say("");
    this.#hide();
  }

  #hears(languages) {
    this.#languages = languages;
    this.#welcome();
    this.dispatchEvent(new CustomEvent("watching", { detail: { languages } }));
  }

  /** Should the server be away, the next time tries again. */
  #mayScroll() {
    const make = ({ Scrollback }) => (this.#scrollback ??= new Scrollback(this, this.#stage));
    import("./scrollback.js").then(make, () => {});
  }

  /** What may be heard here, until something is. */
  #welcome() {
    const lang = language(this.options.lang);
    const names = languageNames(this.#languages, lang);
    this.#hide();
    if (!names || this.transcript.said.length > 0) return;
    this.#hint.textContent = filled(this.#message("hears"), names);
    this.#hintTimer = setTimeout(() => this.#hide(), HINT_MS);
  }

  #hide() {
    clearTimeout(this.#hintTimer);
    if (this.#hint.textContent) this.#hint.textContent = "";
  }

  #caption(caption, backlog) {
    if (caption.type === "segment") this.#segment(caption, backlog);
    else this.#uncaptioned(caption, backlog);
  }

  /** It stands in its speaker's place, as what was said would. */
  #uncaptioned(caption, backlog) {
    const known = this.transcript.has(caption.id);
    if (!this.transcript.accept(caption, Date.now())) return;
    const old = backlog && !known && !this.#returned;
    if (!old) {
      const text = filled(this.#message("uncaptioned"), lengthOf(caption.start * 1_000, caption.end * 1_000));
      this.#show({ ...caption, words: text.split(" ").map((word) => ({ text: word })), final: true });
      if (!known) this.#sentence(caption, text);
    }
    this.dispatchEvent(new CustomEvent("uncaptioned", { detail: { uncaptioned: caption, old } }));
  }

  #show(caption) {
    this.#hide();
    this.#back.hidden = false;
    this.#stage.show(caption, this.nameOf(caption), performance.now());
  }

  /** How many speak whom there is no room for. */
  #tellMore(unseen) {
    this.#more.textContent = unseen && filled(this.#message("more"), unseen);
  }

  /** What the reader calls a caption's speaker. */
  nameOf(caption) {
    return caption.participant.id === this.self ? this.#message("you") : speakerOf(caption);
  }

  #sentence(caption, text) {
    if (!this.options.announce) return;
    this.#sentences.then((sentences) => sentences.push(caption.track, this.nameOf(caption), text));
  }

  #segment(segment, backlog) {
    const seen = this.transcript.has(segment.id);
    if (!this.transcript.accept(segment, Date.now())) return;
    // What was over before we came is for the transcript; what we missed in between is shown.
    const old = backlog && segment.final && !seen && !this.#returned;
    if (!old) this.#show(segment);
    if (!old && segment.final && segment.words.length > 0) this.#sentence(segment, segment.text);
    this.dispatchEvent(new CustomEvent("segment", { detail: { segment, old } }));
  }

  #state(state, gap) {
    if (state === "lost" || state === "ended") this.#stage.interrupt(performance.now());
    this.#returned ||= gap !== undefined;
    if (gap) this.#say(filled(this.#message("gap"), lengthOf(gap.from, gap.to)), GAP_NOTICE_MS);
    else this.#say(state === "open" ? "" : this.#message(state));
    this.dispatchEvent(new CustomEvent("connection", { detail: { state, gap } }));
    const token = this.getAttribute("token");
    if (state !== "ended" || this.#askedAfter === token) return;
    this.#askedAfter = token;
    this.dispatchEvent(new CustomEvent("tokenneeded", { detail: { room: this.getAttribute("room") } }));
  }

  #say(text, for_ms = Infinity) {
    clearTimeout(this.#noticeTimer);
    if (this.#notice.textContent !== text) this.#notice.textContent = text;
    if (for_ms < Infinity) this.#noticeTimer = setTimeout(() => this.#say(""), for_ms);
  }

  #announce(speaker, text) {
    const line = document.createElement("p");
    line.textContent = `${speaker}${this.#message("colon")} ${text}`;
    this.#log.append(line);
    if (this.#log.childElementCount > MOST_LOGGED) this.#log.firstElementChild.remove();
  }
}

function part(tag, name) {
  const made = document.createElement(tag);
  made.className = name;
  made.part = name;
  return made;
}

customElements.define("live-captions", LiveCaptions);
