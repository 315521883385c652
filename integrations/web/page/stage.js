// The picture and what is said in its place.

import { $, element, toast, write } from "./dom.js";
import { Picture } from "./picture.js";
import { Stream } from "./stream.js";
import { engineWords, MODES } from "./words.js";

const FRESH_MS = 3000;

/** Events: "picture" {revision, captured} after each painting drawn. */
export class Stage extends EventTarget {
  #link;
  #stream;
  #picture = new Picture($("picture"));
  #shownAt = 0;
  #engine = null;
  #veil = "";

  constructor(link) {
    super();
    this.#link = link;
    const headers = () => link.headers();
    this.#stream = new Stream("/stream.mjpeg", headers);
    this.#stream.addEventListener("part", ({ detail }) => this.#picture.show(detail));
    this.#picture.addEventListener("picture", ({ detail }) => {
      this.#shownAt = performance.now();
      this.#fit();
      this.veil();
      this.dispatchEvent(new CustomEvent("picture", { detail }));
    });
    setInterval(() => this.veil(), 500);
    $("snapshot").addEventListener("click", () => this.#keep());
    $("fullscreen").addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else $("stage").requestFullscreen?.();
    });
    $("fullscreen").hidden = !$("stage").requestFullscreen;
  }

  get canvas() {
    return this.#picture.canvas;
  }

  start() {
    this.#stream.start();
  }

  stop() {
    this.#stream.stop();
    this.veil();
  }

  show(state, isPure) {
    const named = state.blend?.length
      ? state.blend.map(([style, weight]) => `${style.name} ${Math.round(weight * 100)}%`).join(" + ")
      : state.style?.name;
    $("now-style").textContent = named || "your own words";
    $("now-note").textContent = state.mode === "styled" ? (isPure || !named ? "" : "changed") : MODES[state.mode];
    const panic = state.mode === "panic";
    if (panic !== !$("panic-card").hidden) {
      const had = document.activeElement?.dataset?.mode === "panic" || $("panic-card").contains(document.activeElement);
      $("panic-card").hidden = !panic;
      // The focus is not lost with the button that was pressed.
      if (had) (panic ? $("leave-panic") : document.querySelector('[data-mode="panic"]')).focus({ preventScroll: true });
    }
  }

  engine(engine) {
    this.#engine = engine;
    this.veil();
  }

  /** What is said in the picture's place while there is none. */
  veil() {
    const fresh = this.#shownAt && performance.now() - this.#shownAt < FRESH_MS;
    const open = this.#link.isOpen;
    $("stage").dataset.live = String(Boolean(fresh));
    document.body.dataset.live = String(Boolean(fresh && open));
    if (fresh) return;
    const engine = this.#engine;
    const title = open ? "Waiting for the picture" : "The daemon does not answer";
    const note = !open
      ? "This page goes on trying. `phosphene run` starts the daemon."
      : engine && engine.status !== "ready"
        ? engineWords(engine)
        : "";
    if (title + note === this.#veil) return;
    this.#veil = title + note;
    $("veil-title").textContent = title;
    write($("veil-note"), note);
  }

  #fit() {
    const { width, height } = this.canvas;
    $("stage").style.setProperty("--aspect", width / height);
  }

  async #keep() {
    const response = await fetch("/snapshot.png", { headers: this.#link.headers() }).catch(() => null);
    if (!response?.ok) {
      toast("There is no picture to keep now.");
      return;
    }
    const address = URL.createObjectURL(await response.blob());
    element("a", { href: address, download: `phosphene ${new Date().toISOString().slice(0, 19).replaceAll(":", ".")}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }
}
