/** What was said in a room: every caption once, in the order it was said, the newest of them kept. */

/** A day's meeting: about 300 bytes each. */
const MOST_CAPTIONS = 20_000;

/** Call `accept` for every revision that arrives, in whatever order and however often. */
export class Transcript {
  #byId = new Map();
  #said = [];
  #forgottenTo = -Infinity;
  /** How many captions there were before the first that is kept. */
  forgotten = 0;

  /** The final segments that say something, and what is missing between them, in the order they were said. */
  get said() {
    return this.#said;
  }

  /** The final segments alone. */
  get finals() {
    return this.#said.filter(({ type }) => type === "segment");
  }

  /** Whether it says anything new: not seen before, not outdated, its segment not final already. */
  accept(caption, now) {
    const known = this.#byId.get(caption.id);
    if (known ? !supersedes(caption, known) : startOf(caption) < this.#forgottenTo) return false;
    const kept = compact(caption, known?.said_at || now / 1_000);
    this.#byId.set(caption.id, kept);
    if (known?.type === "uncaptioned") this.#said[this.#said.indexOf(known)] = kept;
    else if (isOver(kept)) this.#insert(kept);
    this.#forget();
    return true;
  }

  has(id) {
    return this.#byId.has(id);
  }

  #insert(kept) {
    let place = this.#said.length;
    while (place > 0 && startOf(this.#said[place - 1]) > startOf(kept)) place--;
    this.#said.splice(place, 0, kept);
  }

  #forget() {
    if (this.#said.length > MOST_CAPTIONS) {
      const oldest = this.#said.shift();
      this.#byId.delete(oldest.id);
      this.#forgottenTo = startOf(oldest);
      this.forgotten++;
    }
    // Segments that were withdrawn are kept for as long, so that a late revision does not bring one back.
    if (this.#byId.size > 2 * MOST_CAPTIONS) this.#byId.delete(this.#byId.keys().next().value);
  }
}

/** When a caption began, in ms since 1970. */
export function startOf({ said_at }) {
  return said_at * 1_000;
}

/** When it ended. */
export function endOf({ said_at, start, end }) {
  return (said_at + end - start) * 1_000;
}

/** What to call the speaker of a caption. */
export function speakerOf({ participant }) {
  return participant.name || participant.id;
}

function supersedes(caption, known) {
  if (caption.type === "uncaptioned") return caption.end - caption.start > known.end - known.start;
  return !known.final && caption.revision > known.revision;
}

function isOver({ type, final, text }) {
  return type === "uncaptioned" || (final && text !== "");
}

/** An hour of talk is two thousand segments, and most of their weight is the times of each word. */
function compact(caption, otherwise_at) {
  const { type, id, revision, final, track, participant, start, end, text } = caption;
  return { type, id, revision, final, track, participant, start, end, text, said_at: caption.said_at || otherwise_at };
}
