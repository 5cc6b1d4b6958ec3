/** The people of the meeting as tiles: who has spoken, and who speaks now. */

const styles = new CSSStyleSheet();

styles.replaceSync(`
#people { display: flex; justify-content: center; gap: .75rem; padding: .9rem 1rem 0; overflow: clip; }
#people li { flex: 0 1 8rem; min-inline-size: 2.75rem; text-align: center; color: #fff; font-size: .875rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#people li::before {
  content: attr(data-initial);
  display: grid;
  place-items: center;
  inline-size: 2.75rem;
  margin: .35rem auto .5rem;
  aspect-ratio: 1;
  border-radius: 50%;
  background: #5a6794;
  font-size: 1.125rem;
  font-weight: 600;
  outline: 3px solid transparent;
}
#people .speaking::before { outline-color: #7ee0a4; }
#people li { unicode-bidi: plaintext; }
#people li, #people li::before { forced-color-adjust: none; }
`);

document.adoptedStyleSheets.push(styles);

const MOST_TILES = 8;
const SPEAKING_MS = 1_200;

export class People {
  #root;
  #tiles = new Map();

  constructor(root) {
    this.#root = root;
  }

  /** `name`: what the reader calls them. */
  heard({ participant: { id } }, name) {
    if (!this.#tiles.has(id)) this.#tiles.set(id, { tile: this.#root.appendChild(document.createElement("li")) });
    const shown = this.#tiles.get(id);
    if (shown.tile.textContent !== name) shown.tile.textContent = name;
    shown.tile.dataset.initial = [...name][0];
    shown.tile.classList.add("speaking");
    clearTimeout(shown.timer);
    shown.timer = setTimeout(() => shown.tile.classList.remove("speaking"), SPEAKING_MS);
    if (this.#tiles.size > MOST_TILES) this.#drop(this.#tiles.keys().next().value);
  }

  clear() {
    for (const id of this.#tiles.keys()) this.#drop(id);
  }

  #drop(id) {
    const { tile, timer } = this.#tiles.get(id);
    clearTimeout(timer);
    tile.remove();
    this.#tiles.delete(id);
  }
}
