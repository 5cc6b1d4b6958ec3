/**
 * <live-captions room="…">: the captions of a room.
 *
 * Attributes: `room`; `src`, the server (default: where this module came from); `token`, a watch key or a room token;
 * and every option of options.js. Property `options` sets options from a script and wins over attributes; `transcript` is what was said.
 * Events: `segment` ({segment, old}), `old` if it was over before we came; `connection` ({state, gap});
 * `tokenneeded` ({room}), once a token has ended: set `token` anew.
 */

import { Feed } from "./feed.js";
import { gapText, language, message } from "./messages.js";
import { DEFAULTS, OPTIONS, readOptions } from "./options.js";
import { Stage } from "./stage.js";
import { styles } from "./styles.js";
import { speakerOf, Transcript } from "./transcript.js";

const SERVER = new URL("..", import.meta.url).href;
const GAP_NOTICE_MS = 6_000;
const MOST_LOGGED = 50;
const SOURCE = ["src", "room"];

export class LiveCaptions extends HTMLElement {
  static observedAttributes = [...SOURCE, "token", ...Object.keys(OPTIONS)];

  transcript = new Transcript();
  #set = {};
  #feed = null;
  #returned = false;
  #askedAfter = null;
  #noticeTimer = 0;
  #stageRoot = part("div", "stage");
  #notice = part("p", "notice");
  #log = part("div", "log");
  #stage = new Stage(this.#stageRoot);
  #sentences = null;
  #resized = new ResizeObserver(() => this.#fit());

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styles];
    this.#stageRoot.setAttribute("aria-live", "off");
    this.#notice.setAttribute("role", "status");
    root.append(this.#stageRoot, this.#notice, this.#log);
  }

  /** All options in force. */
  get options() {
    return { ...DEFAULTS, ...readOptions((name) => this.getAttribute(name)), ...this.#set };
  }

  set options(options) {
    this.#set = { ...options };
    if (this.isConnected) this.#applyOptions();
  }

  connectedCallback() {
    this.#applyOptions();
    this.#resized.observe(this);
    this.#watch();
  }

  disconnectedCallback() {
    this.#resized.disconnect();
    this.#unwatch();
  }

  attributeChangedCallback(name, before, value) {
    if (!this.isConnected || before === value) return;
    if (SOURCE.includes(name)) this.#watch();
    else if (name === "token") this.#renew(value);
    else this.#applyOptions();
  }

  #message(name) {
    return message(name, language(this.options.lang));
  }

  #applyOptions() {
    const { theme, position, names, motion, announce, lang } = this.options;
    this.#stageRoot.className = "stage";
    this.#stageRoot.classList.add(theme, position);
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
    this.shadowRoot.querySelectorAll(".notice, .log").forEach((node) => (node.lang = language(lang)));
    this.#fit();
  }

  #fit() {
    this.#stage.fit(this.options, this.clientWidth, this.clientHeight, performance.now());
  }

  /** Begin anew: another room has another transcript. */
  #watch() {
    this.#unwatch();
    const room = this.getAttribute("room");
    if (!room) return;
    this.transcript = new Transcript();
    const base = new URL(this.getAttribute("src") ?? SERVER, document.baseURI);
    this.#feed = new Feed(base, room, this.getAttribute("token"), {
      segment: (segment, backlog) => this.#segment(segment, backlog),
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
    this.#sentences?.then((sentences) => sentences.clear());
    this.#say("");
  }

  #segment(segment, backlog) {
    const seen = this.transcript.has(segment.id);
    if (!this.transcript.accept(segment, Date.now())) return;
    // What was over before we came is for the transcript; what we missed in between is shown.
    const old = backlog && segment.final && !seen && !this.#returned;
    if (!old) this.#stage.show(segment, performance.now());
    if (!old && segment.final && segment.words.length > 0 && this.options.announce) {
      this.#sentences.then((sentences) => sentences.push(segment.track, speakerOf(segment), segment.text));
    }
    this.dispatchEvent(new CustomEvent("segment", { detail: { segment, old } }));
  }

  #state(state, gap) {
    if (state === "lost" || state === "ended") this.#stage.interrupt(performance.now());
    this.#returned ||= gap !== undefined;
    if (gap) this.#say(gapText(this.#message("gap"), gap), GAP_NOTICE_MS);
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
    const line = part("p", "");
    line.textContent = `${speaker}${this.#message("colon")} ${text}`;
    this.#log.append(line);
    if (this.#log.childElementCount > MOST_LOGGED) this.#log.firstElementChild.remove();
  }
}

function part(tag, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  return made;
}

customElements.define("live-captions", LiveCaptions);
