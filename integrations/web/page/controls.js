// Sliders, switches and fields, built from the schema's controls; each sends only its newest value.

import { element } from "./dom.js";
import { sentence } from "./words.js";

const WORDS = {
  strength: ["Strength", "camera", "noise"],
  guidance_scale: ["Guidance", "loose", "strict"],
  delta: ["Delta", "", ""],
  steadiness: ["Steadiness", "lively", "still"],
  similarity_threshold: ["Similarity threshold", "skip more", "skip less"],
  morph_s: ["Morph time", "at once", "slow"],
  seed: ["Seed"],
  guidance: ["Guidance form"],
  similarity: ["Skip similar frames"],
  similarity_metric: ["Compared by"],
  max_skip_frames: ["Most skipped in a row"],
  t_index_list: ["Denoising steps"],
  canvas_scale: ["Canvas", "coarse, fast", "full"],
};

// Where a slider ends when the schema's own range is wider than what is of use; the field beside it takes all.
const SLIDER = {
  guidance_scale: [0, 5, 0.05],
  delta: [0, 2, 0.01],
  similarity_threshold: [0.8, 1, 0.001],
  morph_s: [0, 6, 0.1],
  strength: [0, 1, 0.01],
};

const FIRST = ["strength", "guidance_scale", "steadiness", "morph_s", "seed"];
const ELSEWHERE = new Set(["prompt", "negative_prompt", "loras"]);

/** Values that belong to this page and not to the daemon's state: they go along with commands. */
const LOCAL = new Set(["morph_s"]);

export class Controls {
  #send;
  #rows = new Map();
  #first;
  #more;
  #built = "";
  #state = null;

  /** send(key, value): a promise that settles when the daemon has answered. */
  constructor(first, more, send) {
    this.#first = first;
    this.#more = more;
    this.#send = send;
  }

  build(controls) {
    const asked = JSON.stringify(controls);
    if (asked === this.#built) return;
    this.#built = asked;
    this.#rows.clear();
    this.#first.replaceChildren();
    this.#more.replaceChildren();
    const known = controls.filter((control) => !ELSEWHERE.has(control.key) && control.type !== "object");
    const place = (control) => (FIRST.includes(control.key) ? FIRST.indexOf(control.key) : FIRST.length);
    for (const control of [...known].sort((a, b) => place(a) - place(b))) {
      const row = makeRow(control, (value) => this.#offer(control.key, value));
      this.#rows.set(control.key, row);
      (place(control) < FIRST.length ? this.#first : this.#more).append(row.element);
    }
  }

  /** What goes along with style and prompt commands. */
  get overSeconds() {
    return this.#rows.get("morph_s")?.value ?? 0;
  }

  show(state) {
    this.#state = state;
    for (const [key, row] of this.#rows) {
      const value = state.style && key in state.style ? state.style[key] : state[key];
      if (value !== undefined && !LOCAL.has(key) && !row.busy) row.show(value);
    }
  }

  async #offer(key, value) {
    const row = this.#rows.get(key);
    row.next = { value };
    if (LOCAL.has(key) || row.busy) return;
    row.busy = true;
    while (row.next) {
      const { value: newest } = row.next;
      row.next = null;
      await this.#send(key, newest);
    }
    row.busy = false;
    if (this.#state) this.show(this.#state);
  }
}

/** One control; `prefix` begins the ids of its fields. */
export function makeRow(control, changed, prefix = "c") {
  if (control.key === "seed") return seedRow(control, changed, prefix);
  if (control.choices) return choiceRow(control, changed, prefix);
  if (control.type === "boolean") return switchRow(control, changed, prefix);
  if (control.key in SLIDER || (control.type === "number" && "maximum" in control)) return sliderRow(control, changed, prefix);
  if (control.type === "array") return listRow(control, changed, prefix);
  return numberRow(control, changed, prefix);
}

function label(control) {
  return WORDS[control.key]?.[0] ?? sentence(control.key);
}

function head(control, id, ...fields) {
  const row = element("div", { className: "row-head" });
  row.append(element("label", { htmlFor: id, textContent: label(control), title: control.help }), ...fields);
  return row;
}

function limits(control) {
  const low = control.minimum ?? control.exclusiveMinimum ?? 0;
  const high = control.maximum ?? control.exclusiveMaximum ?? 100;
  const [from, to, step] = SLIDER[control.key] ?? [low, high, control.type === "integer" ? 1 : (high - low) / 100];
  return { low, high, from: Math.max(from, low), to: Math.min(to, high), step };
}

function sliderRow(control, changed, prefix) {
  const id = `${prefix}-${control.key}`;
  const { low, high, from, to, step } = limits(control);
  const slider = element("input", { type: "range", id, min: from, max: to, step, title: control.help });
  const field = element("input", { type: "number", min: low, max: high, step: "any", inputMode: "decimal" });
  field.setAttribute("aria-label", `${label(control)}, exact value`);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const top = "exclusiveMaximum" in control ? high - step : high;
  const row = { element: element("div", { className: "row slider" }), value: 0, busy: false, next: null };
  row.show = (value) => {
    row.value = value;
    slider.value = value;
    if (document.activeElement !== field) field.value = Number(value).toFixed(digits);
    const share = Math.min(1, Math.max(0, (value - from) / (to - from)));
    slider.style.setProperty("--share", share);
  };
  const take = (text) => {
    const value = Math.min(top, Math.max(low, Number(text)));
    if (text === "" || Number.isNaN(value)) return;
    row.show(value);
    changed(value);
  };
  slider.addEventListener("input", () => take(slider.value));
  field.addEventListener("change", () => take(field.value));
  field.addEventListener("blur", () => row.show(row.value));
  const [, least, most] = WORDS[control.key] ?? [];
  row.element.append(head(control, id, field), slider);
  if (least) {
    const ends = element("p", { className: "ends" }, element("span", { textContent: least }), element("span", { textContent: most }));
    ends.setAttribute("aria-hidden", "true");
    row.element.append(ends);
  }
  row.show(control.default ?? from);
  return row;
}

function numberRow(control, changed, prefix) {
  const id = `${prefix}-${control.key}`;
  const { low, high } = limits(control);
  const whole = control.type === "integer";
  const field = element("input", { id, type: "number", min: low, max: high, step: whole ? 1 : "any", title: control.help });
  const row = { element: element("div", { className: "row" }, head(control, id, field)), value: 0, busy: false, next: null };
  row.show = (value) => {
    row.value = value;
    if (document.activeElement !== field) field.value = value;
  };
  row.take = (value) => {
    if (Number.isNaN(value)) return;
    const bounded = Math.min(high, Math.max(low, whole ? Math.round(value) : value));
    row.show(bounded);
    field.value = bounded;
    changed(bounded);
  };
  field.addEventListener("change", () => row.take(field.valueAsNumber));
  row.show(control.default ?? low);
  return row;
}

function seedRow(control, changed, prefix) {
  const row = numberRow(control, changed, prefix);
  const dice = element("button", { type: "button", className: "dice", title: "Another seed" });
  dice.setAttribute("aria-label", "Another seed");
  dice.append(...Array.from({ length: 5 }, () => element("i")));
  dice.addEventListener("click", () => row.take(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000));
  row.element.classList.add("seed");
  row.element.querySelector(".row-head").append(dice);
  return row;
}

function choiceRow(control, changed, prefix) {
  const id = `${prefix}-${control.key}`;
  const select = element("select", { id, title: control.help }, ...control.choices.map((c) => element("option", { value: c, textContent: c })));
  const row = { element: element("div", { className: "row" }, head(control, id, select)), value: "", busy: false, next: null };
  row.show = (value) => {
    row.value = value;
    select.value = value;
  };
  select.addEventListener("change", () => changed(select.value));
  row.show(control.default ?? control.choices[0]);
  return row;
}

function switchRow(control, changed, prefix) {
  const id = `${prefix}-${control.key}`;
  const box = element("input", { id, type: "checkbox", className: "toggle", title: control.help });
  box.setAttribute("role", "switch");
  const row = { element: element("div", { className: "row" }, head(control, id, box)), value: false, busy: false, next: null };
  row.show = (value) => {
    row.value = value;
    box.checked = value;
  };
  box.addEventListener("change", () => changed(box.checked));
  row.show(Boolean(control.default));
  return row;
}

function listRow(control, changed, prefix) {
  const id = `${prefix}-${control.key}`;
  const field = element("input", { id, type: "text", inputMode: "numeric", title: control.help, spellcheck: false });
  const row = { element: element("div", { className: "row" }, head(control, id, field)), value: [], busy: false, next: null };
  row.show = (value) => {
    row.value = value;
    if (document.activeElement !== field) field.value = value.join(", ");
  };
  field.addEventListener("change", () => {
    const items = field.value.split(/[\s,]+/).filter(Boolean).map(Number);
    if (items.length && items.every(Number.isInteger)) changed(items);
    else field.value = row.value.join(", ");
  });
  row.show(control.default ?? []);
  return row;
}
