/** Widths of text, without touching the page's layout. */

const SAMPLE = "Le sous-titre suit la voix; captions follow the voice of whoever speaks.";

export class Ruler {
  #canvas = document.createElement("canvas").getContext("2d");

  /** `font`: the CSS shorthand that the text is set in. */
  set font(font) {
    this.#canvas.font = font;
  }

  width(text) {
    return this.#canvas.measureText(text).width;
  }

  /** The width of that many characters of running text. */
  widthOf(chars) {
    return (this.width(SAMPLE) / SAMPLE.length) * chars;
  }
}
