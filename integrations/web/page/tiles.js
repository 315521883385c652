// The style bank. A tile's picture is what the style made of the live camera, taken from the picture on this
// page when the style was last shown; it stays in this page's memory.

const SETTLE_MS = 700;
const FIELDS = ["prompt", "negative_prompt", "guidance", "guidance_scale", "delta", "strength", "seed"];

export class Tiles {
  #list;
  #choose;
  #styles = [];
  #tiles = new Map();
  #active = "";
  #takeAt = Infinity;
  #takeFrom = 0;

  /** choose(name): take that style. */
  constructor(list, choose) {
    this.#list = list;
    this.#choose = choose;
    list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  build(styles) {
    const same = JSON.stringify(styles) === JSON.stringify(this.#styles);
    if (same) return;
    this.#styles = styles;
    const before = this.#tiles;
    this.#tiles = new Map(styles.map((style, index) => [style.name, this.#tile(style, index, before.get(style.name))]));
    this.#list.replaceChildren(...this.#tiles.values());
    this.#mark();
  }

  get count() {
    return this.#styles.length;
  }

  chooseAt(index) {
    const style = this.#styles[index];
    if (style) this.#choose(style.name);
  }

  /** Whether the state's style is the bank's, unchanged. */
  isPure(style) {
    const bank = this.#styles.find((known) => known.name === style?.name);
    return Boolean(bank) && FIELDS.every((field) => bank[field] === undefined || bank[field] === style[field]);
  }

  show(state, overSeconds) {
    const name = state.blend?.length ? "" : (state.style?.name ?? "");
    if (name === this.#active) return;
    this.#active = name;
    this.#takeAt = performance.now() + SETTLE_MS + overSeconds * 1000;
    this.#takeFrom = state.revision ?? 0;
    this.#mark();
  }

  /** Called with every picture drawn; keeps one for the active tile once the style has settled. */
  offer(canvas, revision, state) {
    if (performance.now() < this.#takeAt || revision < this.#takeFrom) return;
    if (state.mode !== "styled" || !this.isPure(state.style)) return;
    const tile = this.#tiles.get(this.#active);
    if (!tile) return;
    const small = tile.querySelector("canvas");
    const scale = Math.max(small.width / canvas.width, small.height / canvas.height);
    const width = small.width / scale;
    const height = small.height / scale;
    small.getContext("2d").drawImage(canvas, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height, 0, 0, small.width, small.height);
    tile.classList.add("painted");
    this.#takeAt = performance.now() + 20_000;
  }

  #tile(style, index, before) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    tile.setAttribute("role", "radio");
    tile.dataset.style = style.name;
    tile.title = style.prompt ?? "";
    const canvas = before?.querySelector("canvas") ?? Object.assign(document.createElement("canvas"), { width: 320, height: 200 });
    canvas.setAttribute("aria-hidden", "true");
    if (before?.classList.contains("painted")) tile.classList.add("painted");
    const name = document.createElement("b");
    name.textContent = style.name;
    const words = document.createElement("span");
    words.textContent = folded(style.prompt) === folded(style.name) ? "" : (style.prompt ?? "");
    tile.append(canvas, words, name);
    if (index < 9) {
      const key = document.createElement("kbd");
      key.textContent = String(index + 1);
      tile.setAttribute("aria-keyshortcuts", String(index + 1));
      tile.append(key);
    }
    tile.addEventListener("click", () => this.#choose(style.name));
    return tile;
  }

  #mark() {
    let reachable = null;
    for (const [name, tile] of this.#tiles) {
      const active = name === this.#active;
      tile.setAttribute("aria-checked", String(active));
      tile.tabIndex = active ? 0 : -1;
      if (active) reachable = tile;
    }
    this.reveal();
    if (!reachable && this.#tiles.size) this.#tiles.values().next().value.tabIndex = 0;
  }

  /** Brings the active tile into view: scrolls the list, never the page. */
  reveal() {
    const list = this.#list;
    const tile = this.#tiles.get(this.#active);
    if (!tile) return;
    const [box, own] = [list.getBoundingClientRect(), tile.getBoundingClientRect()];
    if (own.top < box.top + 6) list.scrollTop += own.top - box.top - 8;
    else if (own.bottom > box.bottom - 22) list.scrollTop += own.bottom - box.bottom + 24;
    if (own.left < box.left) list.scrollLeft += own.left - box.left - 20;
    else if (own.right > box.right) list.scrollLeft += own.right - box.right + 20;
  }

  /** Arrow keys move the focus through the group; Enter and Space choose (a style change is seen by viewers). */
  #onKey(event) {
    const tiles = [...this.#tiles.values()];
    const at = tiles.indexOf(document.activeElement);
    const columns = getComputedStyle(this.#list).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1 : step === undefined ? NaN : at + step;
    if (at < 0 || Number.isNaN(to)) return;
    event.preventDefault();
    tiles[Math.min(tiles.length - 1, Math.max(0, to))].focus();
  }
}

function folded(words) {
  return String(words ?? "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}
