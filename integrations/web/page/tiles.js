// The style bank as tiles: choose, move, edit. A tile's picture is painted by the daemon's present model, once the
// tile has come into view.

import { $, element, icon, tell } from "./dom.js";
import { keyWords } from "./words.js";

const AGAIN_MS = 15_000;
const DRAG_PX = 8;
const ORDER_MS = 500;

/** Events: "choose" {name}, "edit" {name}, "order" {names}. */
export class Tiles extends EventTarget {
  #list = $("tiles");
  #bank;
  #tiles = new Map();
  #active = "";
  #drag = null;
  #ordering = 0;
  #watch = new IntersectionObserver((seen) => seen.forEach((entry) => this.#seen(entry)), { rootMargin: "120px" });

  constructor(bank) {
    super();
    this.#bank = bank;
    bank.addEventListener("change", () => this.#build());
    const list = this.#list;
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("focusin", (event) => this.#rove(event.target.closest("[data-style]")));
    list.addEventListener("pointerdown", (event) => this.#grab(event));
    list.addEventListener("click", (event) => this.#click(event), true);
    list.addEventListener("contextmenu", (event) => {
      // The right button, or a long press.
      const tile = event.target.closest(".tile");
      if (!tile || !this.#bank.canChange) return;
      event.preventDefault();
      this.#say("edit", { name: this.#choice(tile).dataset.style });
    });
  }

  chooseAt(index) {
    const style = this.#bank.styles[index];
    if (style) this.#say("choose", { name: style.name });
  }

  show(state) {
    const name = state.blend?.length ? "" : (state.style?.name ?? "");
    if (name === this.#active) return;
    this.#active = name;
    this.#mark();
    this.reveal();
  }

  /** The daemon has painted the picture of a style. */
  painted(name) {
    const tile = this.#tiles.get(name);
    if (tile && tile.dataset.address) this.#fetch(tile);
  }

  /** Brings the active tile into view: scrolls the list, never the page. */
  reveal() {
    this.#into(this.#tiles.get(this.#active));
  }

  /** To the tile of that name, or the one that Tab reaches. */
  focus(name) {
    (this.#choice(this.#tiles.get(name)) ?? this.#list.querySelector('[tabindex="0"]'))?.focus();
  }

  // ---------------------------------------------------------- building

  #build() {
    if (this.#drag) this.#drop(false);
    // A move that was not told yet would be taken back by the bank's own order.
    if (this.#ordering && this.#bank.styles.every((style) => this.#tiles.has(style.name))) this.#ordered();
    const before = this.#tiles;
    const focused = document.activeElement?.dataset?.style;
    const movable = this.#bank.canChange;
    this.#list.dataset.movable = String(movable);
    this.#tiles = new Map(this.#bank.styles.map((style, index) => [style.name, this.#tile(style, index, before.get(style.name))]));
    for (const [name, tile] of before) if (this.#tiles.get(name) !== tile) this.#watch.unobserve(tile);
    this.#list.replaceChildren(...this.#tiles.values());
    this.#list.setAttribute("role", this.#tiles.size ? "radiogroup" : "group");
    $("styles-count").textContent = this.#bank.styles.length || "";
    $("styles-empty").hidden = this.#bank.styles.length > 0;
    this.#mark();
    if (!before.size) this.reveal(); // later, what is under the pointer stays there
    if (focused) this.focus(focused);
  }

  #tile(style, index, before) {
    const text = JSON.stringify([style, index < 9 && index, this.#bank.canChange]);
    if (before?.dataset.text === text) return before;
    const tile = element("div", { className: "tile" });
    tile.dataset.text = text;
    const choice = element("button", { type: "button", className: "choose", title: style.prompt ?? "" });
    choice.setAttribute("role", "radio");
    choice.dataset.style = style.name;
    const canvas = before?.querySelector("canvas") ?? element("canvas", { width: 320, height: 200 });
    canvas.setAttribute("aria-hidden", "true");
    if (before?.classList.contains("painted")) tile.classList.add("painted");
    const words = element("span", { textContent: folded(style.prompt) === folded(style.name) ? "" : (style.prompt ?? "") });
    choice.append(canvas, words, element("b", { textContent: style.name }));
    if (style.colour) {
      const tag = element("i", { className: "tag" });
      tag.style.background = style.colour;
      choice.append(tag);
    }
    if (index < 9) {
      choice.append(element("kbd", { textContent: String(index + 1) }));
      choice.setAttribute("aria-keyshortcuts", String(index + 1));
    }
    if (style.hotkey) choice.title += `\n${keyWords(style.hotkey)}`;
    tile.append(choice);
    if (this.#bank.canChange) {
      choice.setAttribute("aria-describedby", "tiles-help");
      // For the pointer; the keyboard edits with E.
      const edit = element("button", { type: "button", className: "icon edit", tabIndex: -1, title: `Edit ${style.name}` }, icon("edit"));
      edit.setAttribute("aria-hidden", "true");
      tile.append(edit);
    }
    if (style.picture) {
      tile.dataset.address = style.picture.address;
      if (before?.dataset.address !== style.picture.address || !tile.classList.contains("painted")) this.#watch.observe(tile);
    }
    return tile;
  }

  // ---------------------------------------------------------- pictures

  #seen({ target, isIntersecting }) {
    if (!isIntersecting) return;
    this.#watch.unobserve(target);
    this.#fetch(target);
  }

  async #fetch(tile) {
    const style = this.#bank.find(tile.querySelector("[data-style]").dataset.style);
    if (!style?.picture || !tile.isConnected) return;
    const bitmap = await this.#bank.picture(style).catch(() => null);
    if (!bitmap) {
      setTimeout(() => tile.isConnected && !document.hidden && this.#watch.observe(tile), AGAIN_MS); // the event `picture` comes first
      return;
    }
    const small = tile.querySelector("canvas");
    if (!small) return; // it went on to the tile's successor, which asks for itself
    const scale = Math.max(small.width / bitmap.width, small.height / bitmap.height);
    const [width, height] = [small.width / scale, small.height / scale];
    small.getContext("2d").drawImage(bitmap, (bitmap.width - width) / 2, (bitmap.height - height) / 2, width, height, 0, 0, small.width, small.height);
    bitmap.close();
    tile.classList.add("painted");
  }

  // ---------------------------------------------------------- marks and focus

  #mark() {
    for (const [name, tile] of this.#tiles) {
      this.#choice(tile).setAttribute("aria-checked", String(name === this.#active));
    }
    this.#rove(this.#choice(this.#tiles.get(this.#active)) ?? this.#list.querySelector("[data-style]"));
  }

  /** One tile is reached by Tab, the others from it by arrow keys. */
  #rove(choice) {
    if (!choice) return;
    for (const tile of this.#tiles.values()) this.#choice(tile).tabIndex = this.#choice(tile) === choice ? 0 : -1;
  }

  #choice(tile) {
    return tile?.querySelector("[data-style]");
  }

  #into(tile) {
    if (!tile) return;
    const list = this.#list;
    const [box, own] = [list.getBoundingClientRect(), tile.getBoundingClientRect()];
    if (own.top < box.top + 6) list.scrollTop += own.top - box.top - 8;
    else if (own.bottom > box.bottom - 22) list.scrollTop += own.bottom - box.bottom + 24;
    if (own.left < box.left) list.scrollLeft += own.left - box.left - 20;
    else if (own.right > box.right) list.scrollLeft += own.right - box.right + 20;
  }

  // ---------------------------------------------------------- keys

  /** Arrow keys move the focus; Enter and Space choose (a style change is seen by viewers); E edits; Alt moves. */
  #onKey(event) {
    const choice = event.target.closest("[data-style]");
    if (!choice || event.ctrlKey || event.metaKey) return;
    const name = choice.dataset.style;
    if (event.key.toLowerCase() === "e" && !event.altKey && this.#bank.canChange) {
      event.preventDefault();
      event.stopPropagation();
      this.#say("edit", { name });
      return;
    }
    const tiles = [...this.#list.children];
    const at = tiles.indexOf(choice.parentElement);
    const step = this.#steps()[event.key];
    const wanted = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1 : step === undefined ? NaN : at + step;
    if (Number.isNaN(wanted)) return;
    event.preventDefault();
    const to = Math.min(tiles.length - 1, Math.max(0, wanted));
    if (event.altKey) this.#move(tiles[at], to, name);
    else this.#choice(tiles[to]).focus();
  }

  #steps() {
    const style = getComputedStyle(this.#list);
    if (style.gridAutoFlow.startsWith("column")) {
      const rows = style.gridTemplateRows.split(" ").length;
      return { ArrowRight: rows, ArrowLeft: -rows, ArrowDown: 1, ArrowUp: -1 };
    }
    const columns = style.gridTemplateColumns.split(" ").length;
    return { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  }

  #move(tile, to, name) {
    if (!this.#bank.canChange) return;
    const others = [...this.#list.children].filter((known) => known !== tile);
    this.#list.insertBefore(tile, others[to] ?? null);
    this.#choice(tile).focus();
    this.#into(tile);
    tell(`${name} is number ${to + 1} of ${others.length + 1}`);
    clearTimeout(this.#ordering);
    this.#ordering = setTimeout(() => this.#ordered(), ORDER_MS);
  }

  #ordered() {
    clearTimeout(this.#ordering);
    this.#ordering = 0;
    const names = [...this.#list.querySelectorAll("[data-style]")].map((choice) => choice.dataset.style);
    this.#say("order", { names: names.filter((name) => this.#bank.find(name)) });
  }

  // ---------------------------------------------------------- pointer

  #click(event) {
    if (this.#list.dataset.dropped === "true") {
      // The end of a drag is no click.
      delete this.#list.dataset.dropped;
      event.stopPropagation();
      event.preventDefault();
      return;
    }
    const tile = event.target.closest(".tile");
    if (!tile) return;
    const name = this.#choice(tile).dataset.style;
    this.#say(event.target.closest(".edit") ? "edit" : "choose", { name });
  }

  /** Fingers scroll the list; a mouse or a pen moves tiles. */
  #grab(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.button !== 0 || event.pointerType === "touch" || !this.#bank.canChange || event.target.closest(".edit")) return;
    delete this.#list.dataset.dropped;
    const end = new AbortController();
    this.#drag = { tile, x: event.clientX, y: event.clientY, moving: false, end, next: tile.nextElementSibling };
    const on = (type, act) => window.addEventListener(type, act, { signal: end.signal, capture: true });
    on("pointermove", (moved) => this.#pull(moved));
    on("pointerup", () => this.#drop(true));
    on("pointercancel", () => this.#drop(false));
    on("keydown", (pressed) => pressed.key === "Escape" && this.#drop(false));
  }

  #pull(event) {
    const drag = this.#drag;
    if (!drag.moving && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_PX) return;
    drag.moving = true;
    drag.tile.classList.add("dragged");
    const over = document.elementFromPoint(event.clientX, event.clientY)?.closest(".tile");
    if (!over || over === drag.tile || over.parentElement !== this.#list) return;
    const tiles = [...this.#list.children];
    this.#list.insertBefore(drag.tile, tiles.indexOf(over) > tiles.indexOf(drag.tile) ? over.nextElementSibling : over);
  }

  #drop(keep) {
    const { tile, moving, end, next } = this.#drag;
    this.#drag = null;
    end.abort();
    tile.classList.remove("dragged");
    if (!moving) return;
    if (keep) {
      this.#list.dataset.dropped = "true";
      setTimeout(() => delete this.#list.dataset.dropped);
      if (tile.nextElementSibling !== next) this.#ordered();
    } else {
      this.#list.insertBefore(tile, next);
    }
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function folded(words) {
  return String(words ?? "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}
