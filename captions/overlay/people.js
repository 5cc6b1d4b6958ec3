/** The people of the meeting as tiles: who has spoken, and who speaks now. */

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
