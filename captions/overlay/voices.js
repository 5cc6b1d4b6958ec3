/** Who can speak into the room from this page: the visitor's microphone, and a clip of speech for trying. */

import { Level } from "./level.js";
import { Publisher } from "./publisher.js";
import { holderOf } from "./token.js";

const SAMPLE = new URL("two_cities.wav", import.meta.url);
const LISTEN = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const READERS = ["Alice Martin", "Bruno Petit", "Chloé Nguyen", "David Okafor"];
const HIGHEST_RATE = 48_000;

/** Neither a microphone nor our audio worklet is there for pages that came over plain http. */
function insist() {
  if (!isSecureContext) throw new DOMException("https", "SecurityError");
}

/** A context whose rate the server takes; few sound cards run faster. */
function audioContext() {
  const context = new AudioContext();
  return context.sampleRate <= HIGHEST_RATE ? context : new AudioContext({ sampleRate: HIGHEST_RATE });
}

const shortId = () => Math.random().toString(36).slice(2, 10);

/**
 * `await start({base, key, room, codec})`, later `stop()`; `on` as in publisher.js, `ended`, `silent` when nothing is
 * heard and `who(id)`: as whom the visitor speaks. `status` is where the level is shown, under that label.
 */
export class Microphone {
  #name;
  #on;
  #level;
  #context = null;
  #stream = null;
  #publisher = null;

  constructor(name, status, label, on) {
    this.#name = name;
    this.#level = new Level(status, label, { silent: on.silent, heard: on.begun });
    this.#on = { ...on, frame: (frame) => this.#level.hear(frame, performance.now()) };
  }

  async start({ base, key, room, codec }) {
    insist();
    const participant = { id: holderOf(key) ?? `visitor-${shortId()}`, name: this.#name };
    this.#on.who(participant.id);
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: LISTEN });
    this.#stream.getTracks()[0].onended = () => this.#on.refused("unplugged");
    this.#context = audioContext();
    this.#publisher = new Publisher(base, key, { room, track: participant.id, participant }, this.#on);
    await this.#publisher.start(this.#context.createMediaStreamSource(this.#stream), codec);
  }

  stop() {
    this.#level.remove();
    this.#publisher?.stop();
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
  }
}

/** One clip read by several at once, each from another place in it; only the first of them is heard. */
export class Sample {
  #readers;
  #on;
  #context = null;
  #publishers = [];

  constructor(readers, on) {
    this.#readers = readers;
    this.#on = on;
  }

  async start({ base, key, room, codec }) {
    insist();
    const context = audioContext();
    this.#context = context;
    const clip = await context.decodeAudioData(await (await fetch(SAMPLE)).arrayBuffer());
    for (const [i, name] of READERS.slice(0, this.#readers).entries()) {
      const participant = { id: `sample-${i + 1}-${shortId()}`, name };
      const publisher = new Publisher(base, key, { room, track: participant.id, participant }, this.#on);
      const source = new AudioBufferSourceNode(context, { buffer: clip, loop: true });
      this.#publishers.push(publisher);
      await publisher.start(source, codec);
      source.start(0, (i * clip.duration) / this.#readers);
      source.stop(context.currentTime + clip.duration);
      if (i > 0) continue;
      source.connect(context.destination);
      source.onended = this.#on.ended;
    }
  }

  stop() {
    for (const publisher of this.#publishers) publisher.stop();
    this.#context?.close();
  }
}
