/** What was said in a room: every segment once, in its place, the newest of them kept. */

const MOST_SEGMENTS = 2_000;

/**
 * A track's clock starts with its first audio. Where that stands on ours is read off every word's latency; it is too
 * late by their age for captions from before we watched, until the track speaks again.
 */
class TrackClocks {
  #zeros = new Map();

  read(segment, now) {
    const last = segment.words.at(-1);
    const latency = segment.latency?.word_latency;
    if (latency !== undefined && last) this.#zeros.set(segment.track, now - latency - last.end * 1_000);
    else if (!this.#zeros.has(segment.track)) this.#zeros.set(segment.track, now - segment.end * 1_000);
    if (this.#zeros.size > MOST_SEGMENTS) this.#zeros.delete(this.#zeros.keys().next().value);
  }

  zero(track) {
    return this.#zeros.get(track);
  }
}

/** Call `accept` for every revision that arrives, in whatever order and however often. */
export class Transcript {
  #ids = [];
  #byId = new Map();
  #clocks = new TrackClocks();
  #forgottenTo = "";

  /** The final segments that say something, in order. */
  get finals() {
    return this.#ids.map((id) => this.#byId.get(id)).filter(({ final, text }) => final && text !== "");
  }

  /** The id of the latest segment, or "". */
  get newest() {
    return this.#ids.at(-1) ?? "";
  }

  /** Whether the revision says anything new: not seen before, not outdated, its segment not final already. */
  accept(segment, now) {
    if (segment.id <= this.#forgottenTo) return false;
    const known = this.#byId.get(segment.id);
    if (known && (known.final || segment.revision <= known.revision)) return false;
    if (!known) this.#insert(segment.id);
    this.#byId.set(segment.id, withoutWords(segment));
    this.#clocks.read(segment, now);
    this.#forget();
    return true;
  }

  has(id) {
    return this.#byId.has(id);
  }

  /** When a moment of a segment's track was, in ms since 1970; told better as more of the track is heard. */
  at({ track }, seconds) {
    return this.#clocks.zero(track) + seconds * 1_000;
  }

  #insert(id) {
    let place = this.#ids.length;
    while (place > 0 && this.#ids[place - 1] > id) place--;
    this.#ids.splice(place, 0, id);
  }

  #forget() {
    if (this.#ids.length <= MOST_SEGMENTS) return;
    this.#forgottenTo = this.#ids.shift();
    this.#byId.delete(this.#forgottenTo);
  }
}

/** An hour of talk is a thousand segments, and most of their weight is the times of each word. */
function withoutWords({ id, revision, final, track, participant, start, end, text }) {
  return { id, revision, final, track, participant, start, end, text };
}

/** What to call the speaker of a segment. */
export function speakerOf({ participant }) {
  return participant.name || participant.id;
}
