/** One track going to the server: what an audio node plays is captured, encoded and sent. */

import { encoderFor } from "./encoder.js";
import { protocolsFor, Socket, socketUrl } from "./socket.js";
import { endOf } from "./token.js";

/** A network that cannot keep up loses audio rather than letting captions fall behind. */
const MOST_PENDING_BYTES = 64_000;
const FAREWELL_MS = 10_000;

/**
 * `await start(node, codec)`, later `stop()`. `track` is {room, track, participant}. `on.begun()` is called when the
 * server takes the audio, `on.lost()` when it cannot be reached (it is tried again), `on.error(message)` with what it has
 * to say against it.
 */
export class Publisher {
  #track;
  #on;
  #socket;
  #encoder = null;
  #capture = null;
  #stopped = false;

  constructor(base, key, track, on) {
    // A room token says itself who its holder is.
    this.#track = endOf(key) < Infinity ? { room: track.room, track: track.track } : track;
    this.#on = on;
    this.#socket = new Socket(socketUrl(base, "v1/stream"), () => protocolsFor(key), {
      open: () => this.#begin(),
      message: (data) => this.#message(JSON.parse(data)),
      lost: () => (this.#stopped ? this.#close() : on.lost()),
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
    this.#capture.port.onmessage = ({ data }) => this.#encoder.encode(data);
    this.#socket.open();
    node.connect(this.#capture);
  }

  /** The last words still come: the server is given time to say them. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#capture?.port.close();
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
    if (this.#socket.pending < MOST_PENDING_BYTES) this.#socket.send(bytes);
  }

  #message(message) {
    if (message.type === "started") this.#on.begun();
    if (message.type === "error") this.#on.error(message.message);
    if (message.type === "stopped") this.#close();
  }

  #close() {
    this.#socket.close();
    this.#encoder?.close();
    this.#encoder = null;
  }
}
