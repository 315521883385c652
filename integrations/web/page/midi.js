// MIDI: the controller, what is bound, and learning a knob or pad. Hidden where the daemon's status has no MIDI.

import { $, element, write } from "./dom.js";
import { sentence } from "./words.js";

const PATH = "/api/v1/midi";
const KNOBS = ["strength", "guidance_scale", "delta", "steadiness", "similarity_threshold", "max_skip_frames", "seed"];
const ACTIONS = ["next", "previous", "random", "panic", "undo"];

export class Midi {
  #link;
  #facts = null;
  #seen = "";

  constructor(link) {
    this.#link = link;
    $("midi-form").addEventListener("submit", (event) => (event.preventDefault(), this.#learn()));
    $("midi-cancel").addEventListener("click", () => this.#cancel());
    $("midi-bound").addEventListener("click", ({ target }) => target.dataset.control && this.#free(target.dataset.control));
  }

  /** controls: of the schema; styles: of the bank. */
  build(controls, styles) {
    if (!controls.length) return; // the styles came first
    const keys = KNOBS.filter((key) => controls.some((control) => control.key === key));
    const chosen = $("midi-target").value;
    $("midi-target").replaceChildren(group("Live values", keys), group("Actions", ACTIONS), group("Styles", styles.map(({ name }) => name)));
    if ([...$("midi-target").options].some(({ value }) => value === chosen)) $("midi-target").value = chosen;
  }

  /** status: of the integration; undefined where there is none. */
  show(status) {
    $("midi").hidden = !status;
    const { heard: _, last: __, ...steady } = status ?? {};
    const seen = JSON.stringify(steady);
    if (!status || seen === this.#seen) return;
    this.#seen = seen;
    this.read();
  }

  /** An event `midi`: a control was heard, or could not be bound. */
  heard({ text, data }) {
    say(data?.mend ? `${text}. ${data.mend}` : data?.target ? `Heard ${data.control}: binding it to ${data.target}.` : text);
    this.read();
  }

  async read() {
    if ($("midi").hidden) return;
    await this.#ask(() => this.#link.get(PATH));
  }

  #learn() {
    const target = $("midi-target").value;
    say(`Move a knob or press a pad for ${target}.`);
    return this.#ask(() => this.#link.send("POST", `${PATH}/learn`, { target }));
  }

  async #cancel() {
    if (await this.#ask(() => this.#link.send("DELETE", `${PATH}/learn`))) say("Cancelled.");
    $("midi-learn").focus();
  }

  #free(control) {
    return this.#ask(() => this.#link.send("PUT", `${PATH}/bind`, { control, target: null }));
  }

  async #ask(send) {
    try {
      this.#draw(await send());
      return true;
    } catch (error) {
      say([error.message, error.mend].filter(Boolean).join(" "));
      return false;
    }
  }

  #draw(facts) {
    const before = this.#facts?.bind;
    this.#facts = facts;
    const { enabled, error, mend, status, detail, bind, learning } = facts;
    const wrong = enabled ? [error, mend].filter(Boolean).join(". ") : "MIDI is off. `midi: {enabled: true}` in your settings switches it on.";
    write($("midi-state"), wrong || (status === "listening" ? detail : `Plug a controller in: ${detail}.`));
    $("midi-learn").disabled = status !== "listening" || learning;
    const held = document.activeElement === $("midi-learn");
    $("midi-cancel").hidden = !learning;
    if (learning && held) $("midi-cancel").focus();
    const rows = Object.entries(bind).map(([control, target]) => {
      const free = element("button", { type: "button", className: "quiet", textContent: "Remove" });
      free.dataset.control = control;
      free.setAttribute("aria-label", `Remove ${control}`);
      return element("div", {}, element("dt", {}, element("kbd", { textContent: control })), element("dd", {}, element("span", { textContent: target }), free));
    });
    $("midi-bound").replaceChildren(...rows);
    $("midi-bound").hidden = !rows.length;
    const fresh = before && Object.keys(bind).find((control) => bind[control] !== before[control]);
    if (fresh) say(`Heard ${fresh}: it is bound to ${bind[fresh]}.`);
  }
}

function group(label, names) {
  return element("optgroup", { label }, ...names.map((name) => element("option", { value: name, textContent: KNOBS.includes(name) ? sentence(name) : name })));
}

function say(words) {
  write($("midi-note"), words);
}
