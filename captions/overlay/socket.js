/** A WebSocket that comes back by itself. */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
/** A server that hangs takes connections and answers nothing. */
const OPENING_MS = 10_000;
const PROTOCOL = "captions.v1";

/**
 * Call `open`, later `close`; in between it reconnects, waiting longer each time, at once when the network is back.
 * Calls `on.open()`, `on.message(data)` and `on.lost(closeCode)`, once for each failed try as well.
 */
export class Socket {
  /** What the next try has behind the address. */
  query = "";
  #url;
  #protocols;
  #on;
  #socket = null;
  #tries = 0;
  #timer = 0;
  #opening = 0;
  #online = () => this.retry();
  #offline = () => this.#socket?.close();

  /** `protocols()` is asked anew at each try. */
  constructor(url, protocols, on) {
    this.#url = url;
    this.#protocols = protocols;
    this.#on = on;
  }

  get ready() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that wait to leave. */
  get pending() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  open() {
    addEventListener("online", this.#online);
    addEventListener("offline", this.#offline);
    this.#connect();
  }

  close() {
    removeEventListener("online", this.#online);
    removeEventListener("offline", this.#offline);
    this.#drop();
  }

  /** Nothing comes any more: give this connection up for another. */
  renew() {
    this.#drop();
    this.#lose();
  }

  send(data) {
    if (this.ready) this.#socket.send(data);
  }

  #connect() {
    this.#timer = 0;
    const socket = new WebSocket(this.#url + this.query, this.#protocols());
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#opening = setTimeout(() => this.renew(), OPENING_MS);
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      clearTimeout(this.#opening);
      this.#tries = 0;
      this.#on.open();
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#on.message(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lose(code);
    };
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#opening);
    this.#timer = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #lose(code) {
    clearTimeout(this.#opening);
    // Not all may come back at the same moment after a restart.
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#tries++) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#on.lost(code);
  }

  /** Try again at once, if the connection is lost. */
  retry() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#connect();
  }
}

/** The WebSocket address of a route of the server at `base`. */
export function socketUrl(base, route) {
  const url = new URL(route, base);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** What to offer: browsers set no headers, so the key is a subprotocol, and in no address that is logged. */
export function protocolsFor(key) {
  if (!key) return [PROTOCOL];
  const bytes = String.fromCharCode(...new TextEncoder().encode(key));
  return [PROTOCOL, `captions.key.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`];
}
