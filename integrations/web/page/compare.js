// Before and after. The daemon gives the camera's own picture only where `web.show_raw` allows it; this asks for it
// only while it is looked at, and shows beside each painting the very picture it was made from.

import { $, tell, write } from "./dom.js";
import { Picture } from "./picture.js";
import { Stream } from "./stream.js";

/** Pictures kept: what the camera gives while the slowest painting is made. */
const KEPT = 240;

export class Compare {
  #stream;
  #picture = new Picture($("camera"));
  #parts = [];
  #on = false;
  #allowed = null;
  #mode = "styled";
  #drawn = 0;
  #settingsFile;

  /** settingsFile(): a promise of the path of the user's file, or null. */
  constructor(headers, settingsFile) {
    this.#stream = new Stream("/camera.mjpeg", headers);
    this.#settingsFile = settingsFile;
    this.#stream.addEventListener("part", ({ detail }) => this.#keep(detail));
    this.#picture.addEventListener("picture", () => {
      this.#drawn += 1;
      $("compare").dataset.live = "true";
      $("compare-note").textContent = "";
    });
    $("compare-on").addEventListener("click", () => this.toggle());
    $("divider").addEventListener("input", () => this.#divide());
    $("allow").addEventListener("close", () => $("compare-on").focus());
    this.#divide();
  }

  toggle() {
    if (this.#on) this.#set(false);
    else if (this.#allowed) this.#set(true);
    else this.#explain();
  }

  /** allowed: the daemon's setting as it is now. */
  permit(allowed) {
    if (allowed === this.#allowed) return;
    this.#allowed = allowed;
    if (!allowed && this.#on) {
      this.#set(false);
      tell("The camera’s own picture is not allowed any more.");
    } else if (allowed && $("allow").open) {
      $("allow").close();
      this.#set(true);
    }
  }

  mode(mode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#run();
  }

  /** A painting of the camera's picture of that time was drawn. */
  painted(captured) {
    if (!this.#on || !captured) return;
    let found = null;
    for (const part of this.#parts) {
      if (!found || Math.abs(part.captured - captured) < Math.abs(found.captured - captured)) found = part;
    }
    if (found) this.#picture.show(found);
  }

  lost() {
    this.#allowed = null;
    this.#forget();
    this.#stream.stop();
  }

  found() {
    this.#run();
  }

  #keep(part) {
    this.#parts.push(part);
    if (this.#parts.length > KEPT) this.#parts.shift();
    if (!this.#drawn) this.#picture.show(part);
  }

  #set(on) {
    this.#on = on;
    $("compare").hidden = !on;
    $("compare-on").setAttribute("aria-pressed", String(on));
    $("stage").dataset.compare = String(on);
    this.#run();
  }

  #run() {
    this.#forget();
    const looks = this.#on && this.#mode !== "panic";
    if (looks) {
      $("compare-note").textContent = "Waiting for the camera’s picture";
      this.#stream.start();
    } else {
      this.#stream.stop();
    }
  }

  #forget() {
    this.#parts = [];
    this.#drawn = 0;
    this.#picture.clear();
    $("compare").dataset.live = "false";
  }

  #divide() {
    const divider = $("divider");
    $("stage").style.setProperty("--share", divider.value / 100);
    divider.setAttribute("aria-valuetext", `${divider.value} percent camera, ${100 - divider.value} percent painted`);
  }

  async #explain() {
    $("allow").showModal();
    const file = await this.#settingsFile().catch(() => null);
    write($("allow-file"), file ? `Your settings file: \`${file}\`` : "`phosphene validate` prints where your settings file is looked for.");
  }
}
