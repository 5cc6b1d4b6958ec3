/** The captions of one room as the server sends them, for as long as one watches. */

import { protocolsFor, Socket, socketUrl } from "./socket.js";
import { endOf } from "./token.js";

/** The server begins with the room's recent history, and no mark stands at its end. */
const BACKLOG_MS = 500;
/** How the server closes when a token ends. */
const TOKEN_ENDED = 4401;

/**
 * `on.segment(segment, backlog)`: a revision; `backlog` is true for those that may be from before we watched.
 * `on.state(state, gap)`: "connecting", "refused" while it never was open, "open", "lost" or "ended": the
 * token is no longer good, and a new `token` is needed. `gap` is set on coming back: {from, to} in ms since 1970.
 */
export class Feed {
  #socket;
  #on;
  #token;
  #offered = null;
  #openedAt = 0;
  #lostAt = 0;

  constructor(base, room, token, on) {
    const route = `v1/rooms/${encodeURIComponent(room)}/captions`;
    this.#on = on;
    this.#token = token;
    this.#socket = new Socket(socketUrl(base, route), () => protocolsFor((this.#offered = this.#token)), {
      open: () => this.#opened(),
      message: (data) => this.#message(data),
      lost: (code) => this.#lost(code),
    });
  }

  /** A key or token for the next connection; an open one stays until its own has ended. */
  set token(token) {
    this.#token = token;
    this.#socket.retry();
  }

  open() {
    this.#on.state("connecting");
    this.#socket.open();
  }

  close() {
    this.#socket.close();
  }

  #opened() {
    const gap = this.#openedAt ? { from: this.#lostAt, to: Date.now() } : undefined;
    this.#openedAt = performance.now();
    this.#lostAt = 0;
    this.#on.state("open", gap);
  }

  #lost(code) {
    this.#lostAt ||= Date.now();
    const ended = code === TOKEN_ENDED || endOf(this.#offered) <= Date.now();
    if (!ended) this.#on.state(this.#openedAt ? "lost" : "refused");
    else if (this.#token === this.#offered) this.#on.state("ended");
    else this.#socket.retry();
  }

  #message(data) {
    const message = parse(data);
    if (message?.type === "segment") this.#on.segment(message, performance.now() - this.#openedAt < BACKLOG_MS);
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
