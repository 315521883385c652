// What else can steer the daemon, how each is, and what mends it; the picture's address; the way to a phone.

import { $, element, write } from "./dom.js";
import { INTEGRATIONS, sentence } from "./words.js";

const WELL = new Set(["connected", "ready", "running", "listening", "open", "on"]);

export class Connections {
  #link;
  #shown = "";

  constructor(link) {
    this.#link = link;
    $("copy-mjpeg").addEventListener("click", () => this.#copy());
    $("rotate").addEventListener("click", () => this.#rotate());
  }

  show(status) {
    const integrations = status.integrations ?? {};
    const text = JSON.stringify([integrations, status.web]);
    if (text === this.#shown) return;
    this.#shown = text;
    const names = Object.keys(integrations);
    $("integrations").replaceChildren(...names.map((name) => item(name, integrations[name])));
    $("integrations").hidden = !names.length;
    showPhone(status.web?.host ?? "");
  }

  async #copy() {
    try {
      const { mjpeg } = await this.#link.get("/api/v1/stream-key");
      const address = location.origin + mjpeg;
      if (!navigator.clipboard) {
        write($("links-note"), `\`${address}\``); // a page that came over plain HTTP from another computer
        return;
      }
      await navigator.clipboard.writeText(address);
      say("Copied. In OBS: Media Source, Local File off, this address.");
    } catch (error) {
      say(error instanceof DOMException ? "The browser did not allow copying. Use `phosphene url --obs`." : error.message);
    }
  }

  async #rotate() {
    try {
      await this.#link.send("POST", "/api/v1/stream-key/rotate");
      say("The old address is dead. Copy the new one.");
    } catch (error) {
      say(error.message);
    }
  }
}

function say(words) {
  write($("links-note"), words);
}

function item(name, { status, detail, error, mend }) {
  const [title, how] = INTEGRATIONS[name] ?? [sentence(name), ""];
  const off = status === "off";
  const state = error ? "ill" : off ? "off" : WELL.has(status) ? "well" : "waiting";
  const row = element("li", { className: state }, element("b", { textContent: title }));
  row.append(element("i", { textContent: off ? "Off" : error ? "Not working" : sentence(status ?? "") }));
  const note = element("span");
  write(note, error || detail || (off ? how : ""));
  if (note.textContent) row.append(note);
  if (mend) {
    const cure = element("span", { className: "mend" });
    write(cure, mend);
    row.append(cure);
  }
  return row;
}

function showPhone(host) {
  const here = ["127.0.0.1", "localhost", "::1", ""].includes(host);
  write(
    $("phone-note"),
    here
      ? "This page answers this computer alone. `web: {host: 0.0.0.0}` in your settings and `phosphene restart` open it to your network; `phosphene open --qr` then shows a code for the phone’s camera."
      : "Open to your network. `phosphene open --qr` shows a code for the phone’s camera; it holds the token: whoever has it can do all you can.",
  );
}
