/** A button that starts a voice and, pressed again, stops it. */

const SAID = { speak: "listening", sample: "playing" };
const WRONG = {
  NotAllowedError: "noMicrophone",
  NotFoundError: "noDevice",
  SecurityError: "insecure",
};

/**
 * `press` it. `await make(on)` gives the voice, null if the visitor changes their mind; `where()` tells at each start which
 * room it speaks in; in `status` it is told how it stands.
 */
export class VoiceButton {
  #button;
  #name;
  #where;
  #make;
  #run = null;
  #voice = null;
  #texts = {};
  #status;

  constructor(button, name, where, status, make) {
    this.#button = button;
    this.#name = name;
    this.#where = where;
    this.#status = status;
    this.#make = make;
    delete button.dataset.t; // From here on its text says whether it speaks.
  }

  set texts(texts) {
    this.#texts = texts;
    this.#label();
  }

  press() {
    if (this.#run) this.stop();
    else this.#start();
  }

  stop(why = "") {
    this.#run = null;
    this.#voice?.stop();
    this.#voice = null;
    this.#label();
    this.#tell(why);
  }

  /** The visitor may press again while permissions are asked and files are loaded: each start knows if it still holds. */
  async #start() {
    const run = {};
    this.#run = run;
    this.#label();
    const during = (tell) => (about) => run === this.#run && tell(about);
    try {
      const voice = await this.#make({
        begun: during(() => this.#say(SAID[this.#name])),
        silent: during(() => this.#say("silent")),
        error: during((message) => this.#tell(message)),
        lost: during(() => this.#say("unreachable")),
        refused: during((name) => this.stop(this.#texts[name])),
        ended: during(() => this.stop()),
      });
      if (run !== this.#run) {
        voice?.stop();
        return;
      }
      if (voice === null) {
        this.stop();
        return;
      }
      this.#voice = voice;
      await voice.start(this.#where());
      if (run !== this.#run) voice.stop();
    } catch (error) {
      if (run !== this.#run) return;
      this.stop(this.#texts[WRONG[error.name]] ?? `${this.#texts.failed} ${error.message}`);
    }
  }

  #label() {
    this.#button.setAttribute("aria-pressed", this.#run !== null);
    this.#button.textContent = this.#texts[this.#run ? "stop" : this.#name];
  }

  #say(name) {
    this.#tell(this.#texts[name]);
  }

  #tell(text) {
    this.#status.textContent = text;
  }
}
