/** One track going to the server: what an audio node plays is captured, encoded and sent. */

import { encoderFor } from "./encoder.js";
import { protocolsFor, Socket, socketUrl } from "./socket.js";
import { endOf } from "./token.js";

/** A network that cannot keep up loses audio rather than letting captions fall behind. */
const MOST_PENDING_BYTES = 64_000;
const FAREWELL_MS = 10_000;

/** Why a server lets nobody in: the name of the page's text for each status. */
const REFUSALS = { 401: "mayNotSpeak", 403: "mayNotSpeak", 429: "full", 503: "full" };

/**
 * `await start(node, codec)`, later `stop()`. `track` is {room, track, participant}. `on.begun()` is called when the
 * server takes the audio, `on.lost()` when it cannot be reached (it is tried again), `on.refused(why)` when it will not
 * have us, `on.error(message)` with what it has to say against it, `on.frame(samples)` for 20 ms of audio.
 */
export class Publisher {
  #track;
  #on;
  #socket;
  #encoder = null;
  #capture = null;
  #begun = false;
  #stopped = false;

  constructor(base, key, track, on) {
    // A room token says itself who its holder is.
    this.#track = endOf(key) < Infinity ? { room: track.room, track: track.track } : track;
    this.#on = on;
    this.#socket = new Socket(socketUrl(base, "v1/stream"), () => protocolsFor(key), {
      open: () => this.#begin(),
      message: (data) => this.#message(JSON.parse(data)),
      lost: () => (this.#stopped ? this.#close() : this.#lost(base, key)),
    });
  }

  async start(node, codec) {
    const { context } = node;
    await context.audioWorklet.addModule(new URL("capture-worklet.js", import.meta.url));
    this.#encoder = await encoderFor(context.sampleRate, codec, (bytes) => this.#send(bytes));
    if (this.#stopped) {
      this.#close();
      return;
    }
    this.#capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.#capture.port.onmessage = ({ data }) => {
      this.#on.frame?.(data);
      this.#encoder.encode(data);
    };
    this.#socket.open();
    node.connect(this.#capture);
  }

  /** The last words still come: the server is given time to say them. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#capture?.disconnect();
    this.#socket.send(JSON.stringify({ type: "stop", track: this.#track.track }));
    setTimeout(() => this.#close(), FAREWELL_MS);
  }

  #begin() {
    const { codec, sampleRate } = this.#encoder;
    this.#socket.send(
      JSON.stringify({ type: "start", ...this.#track, codec, sample_rate: sampleRate, channels: 1 }),
    );
  }

  #send(bytes) {
    if (!this.#stopped && this.#socket.pending < MOST_PENDING_BYTES) this.#socket.send(bytes);
  }

  #message(message) {
    if (message.type === "stopped") this.#close();
    if (this.#stopped) return;
    if (message.type === "started") {
      this.#begun = true;
      this.#on.begun();
    }
    if (message.type === "error") this.#complain(message);
  }

  /** A browser is not told why a WebSocket was refused; a plain request for the same address is. */
  async #lost(base, key) {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await fetch(new URL("v1/stream", base), { headers }).catch(() => null);
    const why = REFUSALS[answer?.status];
    if (this.#stopped) return;
    if (why === "mayNotSpeak" || (why && !this.#begun)) this.#on.refused(why);
    else this.#on.lost();
  }

  #complain({ code, message }) {
    if (code === "forbidden") this.#on.refused("mayNotSpeak");
    else if (code === "overloaded" && !this.#begun) this.#on.refused("full");
    // A server without room for us now, or on its way out: another try, later, may find room or another server.
    else if (code === "overloaded" || code === "draining") this.#socket.renew();
    else this.#on.error(message);
  }

  #close() {
    this.#socket.close();
    this.#encoder?.close();
    this.#encoder = null;
  }
}
