/** A small live picture of latency: a dot for each word of the last minute, and a bar of where the time went. */

import { PARTS, TITLES } from "./figures.js";
import "./latency-styles.js";
import { LatencyWindow, WINDOW_MS } from "./latency.js";
import { pick } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 96;
const LEAST_SCALE_MS = 1_000;
const DRAW_EVERY_MS = 1_000;

const TEXTS = {
  median: ["median", "médiane"],
  chart: ["Latency of each word over the last minute", "Latence de chaque mot pendant la dernière minute"],
  ...TITLES,
};

/** Loaded with the first word; `add` every revision's latency. Draws itself. */
export class LatencyChart {
  #words = new LatencyWindow();
  #texts = null;
  #figures = make("p", "figures");
  #plot = document.createElementNS(SVG, "svg");
  #dots = line("dots");
  #median = line("median");
  #p95 = line("p95");
  #bar = make("div", "bar");
  #legend = make("dl", "legend");
  #parts = PARTS.map((part) => ({ part, slice: make("i", part), value: make("dd", ""), name: make("dt", part) }));

  constructor(root) {
    this.#plot.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#plot.setAttribute("preserveAspectRatio", "none");
    this.#plot.setAttribute("role", "img");
    this.#plot.append(this.#median, this.#p95, this.#dots);
    this.#bar.ariaHidden = "true";
    this.#bar.append(...this.#parts.map(({ slice }) => slice));
    for (const { name, value } of this.#parts) {
      const entry = make("div", "");
      entry.append(name, value);
      this.#legend.append(entry);
    }
    root.replaceChildren(this.#figures, this.#plot, this.#bar, this.#legend);
    setInterval(() => this.#draw(performance.now()), DRAW_EVERY_MS);
  }

  set lang(lang) {
    this.#texts = pick(TEXTS, lang);
    this.#plot.setAttribute("aria-label", this.#texts.chart);
    for (const { part, name } of this.#parts) name.textContent = this.#texts[part];
  }

  add(latency) {
    this.#words.add(latency, performance.now());
  }

  #draw(now) {
    const { words, median, p95, parts } = this.#words.figures(now);
    const scale = Math.max(LEAST_SCALE_MS, Math.max(...words.map(({ total }) => total)) * 1.1);
    const y = (ms) => (HEIGHT * (1 - ms / scale)).toFixed(1);
    const x = (at) => (WIDTH * (1 - (now - at) / WINDOW_MS)).toFixed(1);
    this.#dots.setAttribute("d", words.map(({ at, total }) => `M${x(at)} ${y(total)}h0`).join(""));
    this.#median.setAttribute("d", `M0 ${y(median)}H${WIDTH}`);
    this.#p95.setAttribute("d", `M0 ${y(p95)}H${WIDTH}`);
    this.#figures.textContent = `${this.#texts.median} ${ms(median)} · p95 ${ms(p95)}`;
    for (const [i, { slice, value }] of this.#parts.entries()) {
      slice.style.flexGrow = parts[i];
      value.textContent = ms(parts[i]);
    }
  }
}

function ms(value) {
  return `${Math.round(value)} ms`;
}

function make(tag, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  return made;
}

function line(name) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("class", name);
  made.setAttribute("vector-effect", "non-scaling-stroke");
  return made;
}
