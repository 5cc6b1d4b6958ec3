/** The captions of one room as the server sends them, for as long as one watches. */

import { Socket, socketUrl } from "./socket.js";

/** The server begins with the room's recent history, and no mark stands at its end. */
const BACKLOG_MS = 500;

/**
 * `on.segment(segment, backlog)`: a revision; `backlog` is true for those that may be from before we watched.
 * `on.state(state, gap)`: "connecting", "refused" while it never was open, "open" or "lost"; `gap` is set on coming back:
 * {from, to} in ms since 1970.
 */
export class Feed {
  #socket;
  #on;
  #openedAt = 0;
  #lostAt = 0;

  constructor(base, room, key, on) {
    const route = `v1/rooms/${encodeURIComponent(room)}/captions`;
    this.#on = on;
    this.#socket = new Socket(() => socketUrl(base, route, key), [], {
      open: () => this.#opened(),
      message: (data) => this.#message(data),
      lost: () => this.#lost(),
    });
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

  #lost() {
    this.#lostAt ||= Date.now();
    this.#on.state(this.#openedAt ? "lost" : "refused");
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
