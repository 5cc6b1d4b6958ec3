/**
 * Colours for speakers' names. The band lets at most 30 % of the picture behind it through (options.js), so each keeps
 * 4.5:1 on the band over the worst picture: #4d4d4d for the dark bands, #b2b2b2 for the light one.
 */

const BRIGHT = ["#9bdcff", "#ffd479", "#b5f08a", "#ffc2d4", "#dccbff", "#8ff0d8", "#ffcaa8", "#eef07a"];
const DEEP = ["#003a8c", "#7a1600", "#004a1c", "#75004f", "#45138a", "#00474a", "#5a2f00", "#3d3d00"];

const MOST_REMEMBERED = 500;

export const PALETTES = { dark: BRIGHT, light: DEEP, yellow: BRIGHT, contrast: ["#ffffff"] };

/** Gives each speaker a place in the palette, in the order in which they first speak. */
export class Places {
  #places = new Map();
  #next = 0;

  of(speaker) {
    if (!this.#places.has(speaker)) {
      if (this.#places.size >= MOST_REMEMBERED) this.#places.delete(this.#places.keys().next().value);
      this.#places.set(speaker, this.#next++);
    }
    return this.#places.get(speaker);
  }
}

export function colour(theme, place) {
  const palette = PALETTES[theme];
  return palette[place % palette.length];
}
