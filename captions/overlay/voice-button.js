/** A button that starts a voice and, pressed again, stops it. */

const SAID = { speak: "listening", sample: "playing" };

/** `await make(on)` gives the voice; `where()` tells at each start which room it speaks in. */
export class VoiceButton {
  #button;
  #name;
  #where;
  #make;
  #run = null;
  #voice = null;
  #texts = {};
  #status = null;

  constructor(button, name, where, make) {
    this.#button = button;
    this.#name = name;
    this.#where = where;
    this.#make = make;
    button.addEventListener("click", () => (this.#run ? this.stop() : this.#start()));
  }

  /** The page's texts, and where to tell how it stands. */
  speak(texts, status) {
    this.#texts = texts;
    this.#status = status;
    this.#label();
  }

  stop() {
    this.#run = null;
    this.#voice?.stop();
    this.#voice = null;
    this.#label();
    this.#tell("");
  }

  /** The visitor may press again while permissions are asked and files are loaded: each start knows if it still holds. */
  async #start() {
    const run = {};
    this.#run = run;
    this.#label();
    try {
      const voice = await this.#make({
        begun: () => this.#tell(this.#texts[SAID[this.#name]]),
        error: (message) => this.#tell(message),
        lost: () => this.#tell(this.#texts.unreachable),
        ended: () => this.stop(),
      });
      if (run !== this.#run) return;
      this.#voice = voice;
      await voice.start(this.#where());
      if (run !== this.#run) voice.stop();
    } catch (error) {
      if (run !== this.#run) return;
      this.stop();
      this.#tell(error.name === "NotAllowedError" ? this.#texts.noMicrophone : `${this.#texts.failed} ${error.message}`);
    }
  }

  #label() {
    this.#button.setAttribute("aria-pressed", this.#run !== null);
    this.#button.textContent = this.#texts[this.#run ? "stop" : this.#name];
  }

  #tell(text) {
    this.#status.textContent = text;
  }
}
