/** Whole sentences for those who listen: a screen reader cannot take captions word by word. */

const WAIT_MS = 3_000;
const LONGEST_CHARS = 400;
const SENTENCE_END = /[.!?…]["»”’)]*$/;

/** `push` final segments; `say(track, speaker, sentence)` is called when a sentence is over, or nothing follows. */
export class Sentences {
  #say;
  #open = new Map();

  constructor(say) {
    this.#say = say;
  }

  push(track, speaker, text) {
    const begun = this.#open.get(track);
    clearTimeout(begun?.timer);
    const sentence = begun ? `${begun.sentence} ${text}` : text;
    this.#open.set(track, { speaker, sentence, timer: setTimeout(() => this.#end(track), WAIT_MS) });
    if (SENTENCE_END.test(text) || sentence.length > LONGEST_CHARS) this.#end(track);
  }

  clear() {
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    this.#open.clear();
  }

  #end(track) {
    const { speaker, sentence, timer } = this.#open.get(track);
    clearTimeout(timer);
    this.#open.delete(track);
    this.#say(speaker, sentence);
  }
}
