/** The captions of one room as the server sends them, for as long as one watches. */

import { protocolsFor, Socket, socketUrl } from "./socket.js";
import { endOf } from "./token.js";

/** How the server closes when a token ends. */
const TOKEN_ENDED = 4401;
/** So many heartbeats may stay away. */
const MISSED_BEATS = 2;

/**
 * `on.watching({languages})`: what may be heard. `on.caption(caption, backlog)`: a segment's revision or something
 * uncaptioned; `backlog`: it is from before we watched. `on.state(state, gap)`: "connecting", "refused" while
 * it never was open, "open", "lost" or "ended": the token is no longer good, and a new `token` is needed; "blocked" by
 * the page's own policy. `gap` is set on coming back: {from, to} in ms since 1970.
 */
export class Feed {
  #socket;
  #on;
  #token;
  #offered = null;
  #wasOpen = false;
  #heardAt = 0;
  #lostAt = 0;
  #backlog = true;
  #watchdog = 0;
  #blocked;

  constructor(base, room, token, on) {
    const url = socketUrl(base, `v1/rooms/${encodeURIComponent(room)}/captions`);
    this.#on = on;
    this.#token = token;
    this.#blocked = ({ blockedURI, effectiveDirective }) => {
      if (effectiveDirective === "connect-src" && url.startsWith(blockedURI)) this.#refusedByPolicy(url);
    };
    this.#socket = new Socket(url, () => protocolsFor((this.#offered = this.#token)), {
      open: () => this.#opened(),
      message: (data) => this.#message(data),
      lost: (code) => this.#lost(code),
    });
  }

  /** For the next connection; an open one stays until its own token has ended. */
  set token(token) {
    this.#token = token;
    this.#socket.retry();
  }

  open() {
    this.#on.state("connecting");
    document.addEventListener("securitypolicyviolation", this.#blocked);
    this.#socket.open();
  }

  close() {
    document.removeEventListener("securitypolicyviolation", this.#blocked);
    clearInterval(this.#watchdog);
    this.#socket.close();
  }

  #opened() {
    const gap = this.#wasOpen ? { from: this.#lostAt, to: Date.now() } : undefined;
    this.#wasOpen = true;
    this.#lostAt = 0;
    this.#backlog = true;
    this.#on.state("open", gap);
  }

  #lost(code) {
    clearInterval(this.#watchdog);
    this.#lostAt ||= Date.now();
    const ended = code === TOKEN_ENDED || endOf(this.#offered) <= Date.now();
    if (!ended) this.#on.state(this.#wasOpen ? "lost" : "refused");
    else if (this.#token === this.#offered) this.#on.state("ended");
    else this.#socket.retry();
  }

  /** Trying again is of no use: only who wrote the page can mend it. */
  #refusedByPolicy(url) {
    console.error(`<live-captions>: this page's Content-Security-Policy has no connect-src for ${new URL(url).origin}`);
    this.close();
    this.#on.state("blocked");
  }

  #message(data) {
    this.#heardAt = performance.now();
    const message = parse(data);
    if (message?.position) this.#socket.query = `?since=${message.position}`;
    switch (message?.type) {
      case "segment":
      case "uncaptioned":
        this.#on.caption(message, this.#backlog);
        break;
      case "watching":
        this.#watch(message.heartbeat_s * 1_000);
        this.#on.watching(message);
        break;
      case "heartbeat":
        this.#backlog = false;
    }
  }

  /** A server that hangs, or a network that lost us, closes nothing. */
  #watch(beat) {
    clearInterval(this.#watchdog);
    this.#watchdog = setInterval(() => {
      if (performance.now() - this.#heardAt >= MISSED_BEATS * beat) this.#socket.renew();
    }, beat / 5);
  }
}

/** A message, or null for what is none: one bad frame must not end the captions. */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
