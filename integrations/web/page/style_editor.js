// The sheet on which a style is made, changed and deleted. Nothing of it is seen by viewers until it is tried or chosen.

import { valuesOf } from "./bank.js";
import { makeRow } from "./controls.js";
import { $, element, toast, toastError } from "./dom.js";
import { hotkeyOf } from "./words.js";

const COLOURS = ["", "#e5484d", "#f76b15", "#e2b203", "#30a46c", "#12a594", "#0090ff", "#8e4ec6", "#e93d82"];
const COLOUR_NAMES = ["No tag", "Red", "Orange", "Yellow", "Green", "Teal", "Blue", "Violet", "Pink"];
const ROWS = ["strength", "guidance_scale", "seed", "guidance", "delta"];
const ARMED_MS = 3500;

export class StyleEditor {
  #bank;
  #act;
  #over;
  #sheet = $("sheet");
  #rows = new Map();
  #values = {};
  #name = null;
  #armed = 0;
  #opener = null;

  /**
   * act(command): sends it; null where it was refused. over(): seconds that a change of style takes.
   * refocus(name): gives the focus back where the button that had it was made anew.
   */
  constructor(bank, act, over, refocus) {
    this.#bank = bank;
    this.#act = act;
    this.#over = over;
    $("sheet-form").addEventListener("submit", (event) => (event.preventDefault(), this.#save()));
    $("sheet-form").addEventListener("input", () => this.#mark());
    $("sheet-close").addEventListener("click", () => this.#sheet.close());
    $("sheet-try").addEventListener("click", () => this.#try());
    $("sheet-delete").addEventListener("click", () => this.#delete());
    this.#sheet.addEventListener("close", () => {
      this.#disarm();
      if (this.#opener?.isConnected) this.#opener.focus();
      else refocus(this.#name);
    });
    this.#sheet.addEventListener("pointerdown", (event) => event.target === this.#sheet && !this.#changed && this.#sheet.close());
    $("sheet-colours").append(...COLOURS.map(swatch));
    $("sheet-hotkey").addEventListener("keydown", (event) => {
      const combination = hotkeyOf(event);
      if (!combination) return;
      event.preventDefault();
      $("sheet-hotkey").value = combination;
      this.#mark();
    });
  }

  /** known: the schema's controls. */
  build(known) {
    this.#rows.clear();
    const controls = known.filter((control) => control.of === "style" && ROWS.includes(control.key));
    controls.sort((a, b) => ROWS.indexOf(a.key) - ROWS.indexOf(b.key));
    for (const control of controls) this.#rows.set(control.key, makeRow(control, (value) => this.#set(control.key, value), "s"));
    const rows = [...this.#rows.values()].map((row) => row.element);
    $("sheet-rows").replaceChildren(...rows.slice(0, 3));
    $("sheet-more").replaceChildren(...rows.slice(3));
  }

  /** A new style that starts as `look`, the live one. */
  create(look) {
    this.#open(null, { ...valuesOf(look), colour: "", hotkey: "" }, freeName(look.name, this.#bank));
    $("sheet-name").select();
  }

  edit(name) {
    const style = this.#bank.find(name);
    if (style) this.#open(name, valuesOf(style), name);
  }

  #open(name, values, shown) {
    this.#opener = document.activeElement;
    this.#name = name;
    this.#values = { ...values };
    $("sheet-title").textContent = name === null ? "New style" : "Edit style";
    $("sheet-name").value = shown;
    $("sheet-prompt").value = values.prompt ?? "";
    $("sheet-negative").value = values.negative_prompt ?? "";
    $("sheet-hotkey").value = values.hotkey ?? "";
    for (const [key, row] of this.#rows) if (values[key] !== undefined) row.show(values[key]);
    for (const box of $("sheet-colours").querySelectorAll("input")) box.checked = box.value === (values.colour ?? "");
    if (!$("sheet-colours").querySelector(":checked")) $("sheet-colours").querySelector("input").checked = true;
    $("sheet-delete").hidden = name === null;
    this.#before = JSON.stringify(this.#given);
    this.#told("");
    this.#sheet.showModal();
    $("sheet-body").scrollTop = 0;
    if (!matchMedia("(pointer: coarse)").matches) $("sheet-name").focus(); // no keyboard over half of a phone
    this.#mark();
  }

  #before = "";

  get #given() {
    const colour = $("sheet-colours").querySelector(":checked")?.value ?? "";
    const shown = { prompt: $("sheet-prompt").value, negative_prompt: $("sheet-negative").value, hotkey: $("sheet-hotkey").value.trim() };
    return { name: $("sheet-name").value.trim(), ...this.#values, ...shown, ...(colour || !this.#values.colour || COLOURS.includes(this.#values.colour) ? { colour } : {}) };
  }

  get #changed() {
    return JSON.stringify(this.#given) !== this.#before;
  }

  #set(key, value) {
    this.#values[key] = value;
    this.#mark();
  }

  #mark() {
    this.#disarm();
    const { name, prompt } = this.#given;
    $("sheet-save").disabled = !name || !prompt.trim() || (this.#name !== null && !this.#changed);
    $("sheet-try").disabled = !prompt.trim();
  }

  #told(words) {
    $("sheet-note").textContent = words;
  }

  async #save() {
    if ($("sheet-save").disabled) return;
    const { name, ...values } = this.#given;
    try {
      if (this.#name === null) await this.#bank.add(name, values);
      else await this.#bank.edit(this.#name, values, name);
      this.#name = name;
    } catch (error) {
      this.#told([error.message, error.mend].filter(Boolean).join(". "));
      return;
    }
    this.#sheet.close();
  }

  /** Shows it to the viewers without keeping it. */
  #try() {
    const { name, colour, hotkey, ...values } = this.#given;
    this.#act({ command: "look", values, over_s: this.#over() });
  }

  async #delete() {
    const name = this.#name;
    if (!this.#armed) {
      $("sheet-delete").textContent = `Delete ${name}?`;
      $("sheet-delete").classList.add("armed");
      this.#armed = setTimeout(() => this.#disarm(), ARMED_MS);
      return;
    }
    try {
      const bringBack = await this.#bank.remove(name);
      this.#sheet.close();
      toast(`${name} is deleted.`, "Bring it back", () => bringBack().catch(toastError));
    } catch (error) {
      this.#told([error.message, error.mend].filter(Boolean).join(". "));
    }
  }

  #disarm() {
    clearTimeout(this.#armed);
    this.#armed = 0;
    $("sheet-delete").textContent = "Delete";
    $("sheet-delete").classList.remove("armed");
  }
}

function swatch(colour, index) {
  const box = element("input", { type: "radio", name: "colour", value: colour });
  const shown = element("span", { className: colour ? "" : "none" });
  if (colour) shown.style.background = colour;
  return element("label", { title: COLOUR_NAMES[index] }, box, shown, element("span", { className: "unseen", textContent: COLOUR_NAMES[index] }));
}

/** "neon" → "neon 2", or the next number that is free. */
function freeName(name, bank) {
  const stem = (name || "my style").split(" + ").join(" and ").replace(/ \d+$/, "");
  let number = 2;
  while (bank.find(`${stem} ${number}`)) number += 1;
  return bank.find(stem) ? `${stem} ${number}` : stem;
}
