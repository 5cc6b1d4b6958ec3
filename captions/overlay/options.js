/** What a reader can set about captions: each option's range, where it is read from and how it is kept. */

const STORE = "captions.options";

const numberFrom = (min, max, initial) => ({
  initial,
  min,
  max,
  read(text) {
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? Math.min(max, Math.max(min, Math.round(number))) : undefined;
  },
});

const oneOf = (...values) => ({ initial: values[0], values, read: (text) => values.find((value) => value === text) });

const flag = (initial) => ({
  initial,
  read: (text) => ({ "": true, 1: true, true: true, on: true, 0: false, false: false, off: false })[text],
});

/** Names of fonts, as CSS has them. */
const fonts = { initial: "", pattern: "[\\w ,'\"\\-]{0,100}", read: (text) => (/^[\w ,'"-]{0,100}$/.test(text) ? text : undefined) };

/**
 * `background` is the band's opacity in percent; under 70 the names' colours lose their contrast (palette.js).
 * `outline` outlines the letters instead of the band. `linger`: how long captions stay, "auto" or at least so many
 * seconds, or until others need their place.
 */
export const OPTIONS = {
  size: numberFrom(14, 96, 22),
  lines: numberFrom(1, 3, 2),
  speakers: numberFrom(1, 4, 4),
  position: oneOf("bottom", "top"),
  align: oneOf("center", "left", "right"),
  background: numberFrom(70, 100, 80),
  names: flag(true),
  theme: oneOf("dark", "light", "yellow", "contrast"),
  font: fonts,
  outline: flag(false),
  linger: oneOf("auto", "5", "10", "replaced"),
  notices: flag(true),
  motion: oneOf("auto", "reduced"),
  announce: flag(false),
  lang: oneOf("auto", "en", "fr"),
};

export const DEFAULTS = Object.fromEntries(Object.entries(OPTIONS).map(([name, { initial }]) => [name, initial]));

/** Those options that `source(name)` has a valid text for; the others are left out. */
export function readOptions(source) {
  const found = {};
  for (const [name, { read }] of Object.entries(OPTIONS)) {
    const text = source(name);
    const value = text === null || text === undefined ? undefined : read(String(text));
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** What the reader chose earlier in this browser. */
export function savedOptions() {
  try {
    const saved = JSON.parse(localStorage.getItem(STORE)) ?? {};
    return readOptions((name) => saved[name]);
  } catch {
    return {}; // Storage is closed to us (a sandboxed frame) or holds something else.
  }
}

export function saveOptions(options) {
  try {
    localStorage.setItem(STORE, JSON.stringify(options));
  } catch {
    // The choice then holds until the page goes.
  }
}
