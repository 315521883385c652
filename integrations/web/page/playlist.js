// Styles and other actions one after the other. The lines are text, as they stand in the settings.

import { $, element, iconButton, write } from "./dom.js";

const PATH = "/api/v1/playlist";

export class Playlist {
  #link;
  #act;
  #facts = null;
  #shown = "";
  #edits = Promise.resolve();

  constructor(link, act, bank) {
    this.#link = link;
    this.#act = act;
    link.addEventListener("open", () => (this.#facts = null)); // a daemon started again counts from the beginning
    const play = (what) => () => this.#act({ command: "playlist", do: what });
    $("playlist-play").addEventListener("click", () => play(this.#next())());
    $("playlist-stop").addEventListener("click", play("stop"));
    $("playlist-back").addEventListener("click", play("back"));
    $("playlist-skip").addEventListener("click", play("skip"));
    $("playlist-lines").addEventListener("click", (event) => this.#click(event));
    $("playlist-lines").addEventListener("change", (event) => this.#edited(event.target));
    $("playlist-add").addEventListener("submit", (event) => (event.preventDefault(), this.#add()));
    for (const key of ["loop", "shuffle"]) $(`playlist-${key}`).addEventListener("change", ({ target: { checked } }) => this.#edit(() => ({ [key]: checked })));
    bank.addEventListener("change", () => {
      const names = bank.styles.map((style) => style.name);
      $("playlist-style").replaceChildren(...names.map((name) => element("option", { value: name, textContent: name })));
    });
  }

  /** facts: the status's `playlist`; undefined where this daemon has none. */
  show(facts) {
    $("playlist").hidden = !facts;
    if (!facts || facts.revision < this.#facts?.revision) return; // said before the change that is shown already
    this.#facts = facts;
    const { status, at, items, left_s: left, waits } = facts;
    const playing = status === "playing";
    const text = JSON.stringify([status, at, items, facts.loop, facts.shuffle]);
    if (text !== this.#shown && !$("playlist-lines").contains(document.activeElement?.closest("input"))) {
      this.#shown = text;
      this.#build();
    }
    const button = $("playlist-play");
    button.dataset.does = playing ? "pause" : "play";
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    button.title = playing ? "Pause" : "Play";
    button.querySelector("use").setAttribute("href", playing ? "#i-pause" : "#i-play");
    button.disabled = !items.length;
    for (const id of ["stop", "back", "skip"]) $(`playlist-${id}`).disabled = status === "stopped";
    const where = at >= 0 ? `line ${at + 1} of ${items.length}` : "";
    const time = at >= 0 ? `${Math.ceil(left)} s left` : "";
    const state = waits ? "Waits: the picture is not painted live" : { playing: "Playing", paused: "Paused", stopped: items.length ? "Stopped" : "" }[status];
    $("playlist-state").textContent = [state, where, time].filter(Boolean).join(", ");
  }

  #next() {
    return { playing: "pause", paused: "resume" }[this.#facts?.status] ?? "start";
  }

  #build() {
    const { items, at, loop, shuffle } = this.#facts;
    const focused = [...$("playlist-lines").querySelectorAll("button")].indexOf(document.activeElement);
    $("playlist-lines").replaceChildren(...items.map((text, index) => line(text, index, index === at, items.length)));
    if (focused >= 0) ($("playlist-lines").querySelectorAll("button")[focused] ?? $("playlist-style")).focus();
    $("playlist-empty").hidden = items.length > 0;
    $("playlist-loop").checked = loop;
    $("playlist-shuffle").checked = shuffle;
  }

  #click(event) {
    const button = event.target.closest("[data-does]");
    if (!button) return;
    this.#editLine(button, (items, at) => {
      const [moved] = items.splice(at, 1);
      if (button.dataset.does === "up") items.splice(Math.max(0, at - 1), 0, moved);
      if (button.dataset.does === "down") items.splice(at + 1, 0, moved);
    });
  }

  #edited(field) {
    const given = field.value.trim();
    this.#editLine(field, (items, at) => items.splice(at, 1, ...(given ? [given] : [])));
  }

  /** change(items, at): of the line in which `part` stands, wherever the edits before this one have put it. */
  #editLine(part, change) {
    const row = part.closest("li");
    if (!row) return;
    const { at, text } = row.dataset;
    this.#edit(({ items: [...items] }) => {
      const now = items[at] === text ? Number(at) : items.indexOf(text);
      if (now < 0) return null; // gone already
      change(items, now);
      return { items };
    });
  }

  #add() {
    const given = `${$("playlist-style").value} for ${Number($("playlist-seconds").value) || 30}s`;
    this.#edit(({ items }) => ({ items: [...items, given] }));
  }

  /** One edit after the other, each on what the one before it left. change: the new values, of the facts; null: none. */
  #edit(change) {
    this.#edits = this.#edits.then(() => this.#put(change));
  }

  async #put(change) {
    write($("playlist-note"), "");
    try {
      if (!this.#facts) this.show(await this.#link.get(PATH));
      const values = change(this.#facts);
      if (!values) return;
      const facts = await this.#link.send("PUT", PATH, values);
      this.#shown = "";
      document.activeElement?.closest("#playlist-lines input")?.blur();
      this.show(facts);
    } catch (error) {
      write($("playlist-note"), [error.message, error.mend].filter(Boolean).join(". "));
    }
  }
}

function line(text, index, present, count) {
  const row = element("li", { className: present ? "present" : "" });
  row.dataset.at = index;
  row.dataset.text = text;
  if (present) row.setAttribute("aria-current", "step");
  const field = element("input", { type: "text", value: text, spellcheck: false });
  field.setAttribute("aria-label", `Line ${index + 1}`);
  const buttons = [
    ["up", "Move up", index === 0],
    ["down", "Move down", index === count - 1],
    ["close", "Remove", false],
  ].map(([name, label, off]) => {
    const button = iconButton(name, `${label}: ${text}`);
    button.dataset.does = name;
    button.disabled = off;
    return button;
  });
  row.append(element("i", { textContent: index + 1 }), field, ...buttons);
  return row;
}
