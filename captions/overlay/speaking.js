/** Speaking into the room from the page: the visitor's microphone and the clip. Loaded when one of them is first pressed. */

import { askName, guestName, savedName, saveName } from "./guest.js";
import { pick } from "./texts.js";
import { holderOf } from "./token.js";
import { VoiceButton } from "./voice-button.js";
import { VOICE_TEXTS } from "./voice-texts.js";
import { Microphone, Sample } from "./voices.js";

/** `the(id)` finds the page's elements, `where()` tells the room and the key; `captions` learn who their reader is. */
export class Speaking {
  #where;
  #captions;
  #status;
  #texts = {};
  #buttons;

  constructor(the, where, captions) {
    this.#where = where;
    this.#captions = captions;
    this.#status = the("status");
    this.#buttons = {
      speak: new VoiceButton(the("speak"), "speak", where, this.#status, (on) => this.#microphone(on)),
      sample: new VoiceButton(the("sample"), "sample", where, this.#status, (on) => new Sample(Number(the("voices").value), on)),
    };
  }

  set lang(lang) {
    this.#texts = pick(VOICE_TEXTS, lang);
    for (const button of Object.values(this.#buttons)) button.texts = this.#texts;
  }

  press(name) {
    this.#buttons[name].press();
  }

  stop() {
    for (const button of Object.values(this.#buttons)) button.stop();
  }

  /** Null if the visitor would rather not say who speaks. A room token says so itself. */
  async #microphone(on) {
    if (!savedName() && holderOf(this.#where().key) === undefined) {
      const name = await askName(this.#texts);
      if (name === null) return null;
      if (name) saveName(name);
    }
    const who = (id) => (this.#captions.self = id);
    return new Microphone(savedName() || guestName(this.#texts), this.#status, this.#texts.level, { ...on, who });
  }
}
