// What the viewers see, and the ways to the next look. Showing the real face takes two presses.

import { $, tell } from "./dom.js";
import { MODES } from "./words.js";

const ARMED_MS = 3500;

export class Modes {
  #act;
  #over;
  #mode = null;
  #armed = 0;
  #bypass = document.querySelector('[data-mode="bypass"]');

  /** act(command): sends it. over(): seconds that a change of style takes. */
  constructor(act, over) {
    this.#act = act;
    this.#over = over;
    $("modes").addEventListener("click", (event) => {
      const button = event.target.closest("[data-mode]");
      if (button) this.press(button.dataset.mode);
    });
    $("leave-panic").addEventListener("click", () => this.#set("styled"));
    for (const command of ["undo", "redo"]) $(command).addEventListener("click", () => act({ command }));
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => act({ command: "step", by: Number(button.dataset.step), over_s: this.#over() }));
    }
    document.querySelector("[data-random]").addEventListener("click", () => act({ command: "random", over_s: this.#over() }));
  }

  get mode() {
    return this.#mode;
  }

  show(mode) {
    if (mode !== this.#mode) {
      this.#disarm();
      if (this.#mode) tell(MODES[mode]);
    }
    this.#mode = mode;
    document.body.dataset.mode = mode;
    for (const button of document.querySelectorAll("#modes [data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
      // Panic is left by its own button alone.
      button.disabled = mode === "panic" && button.dataset.mode !== "panic";
    }
  }

  press(mode) {
    if (!this.#mode || mode === this.#mode) return;
    if (mode === "bypass" && !this.#armed) {
      this.#bypass.textContent = "Show your real face?";
      this.#bypass.classList.add("armed");
      tell("Press again to show your real face");
      this.#armed = setTimeout(() => this.#disarm(), ARMED_MS);
      return;
    }
    this.#disarm();
    this.#set(mode);
  }

  /** The daemon knows which way: what is shown here may be a moment old. Panic is not left by it. */
  toggleFreeze() {
    if (this.#mode && this.#mode !== "panic") this.#act({ command: "mode", mode: "freeze", toggle: true });
  }

  #set(mode) {
    this.#act({ command: "mode", mode });
  }

  #disarm() {
    clearTimeout(this.#armed);
    this.#armed = 0;
    this.#bypass.textContent = "Bypass";
    this.#bypass.classList.remove("armed");
  }
}
