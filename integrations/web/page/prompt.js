// The two text fields. What is being typed is never overwritten by another front end.

import { $ } from "./dom.js";

const FIELDS = [
  [$("prompt"), "prompt"],
  [$("negative"), "negative_prompt"],
];

export class Prompt {
  #act;
  #over;

  constructor(act, over) {
    this.#act = act;
    this.#over = over;
    for (const [field] of FIELDS) {
      field.addEventListener("input", () => (this.#mark(), grow(field)));
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.#apply();
        } else if (event.key === "Escape") {
          field.value = field.dataset.live ?? "";
          this.#mark();
        }
      });
    }
    $("controls").addEventListener("submit", (event) => (event.preventDefault(), this.#apply()));
  }

  show(style) {
    for (const [field, key] of FIELDS) {
      const live = style?.[key] ?? "";
      const untouched = field.value === (field.dataset.live ?? "");
      field.dataset.live = live;
      if (untouched) field.value = live;
      grow(field);
    }
    this.#mark();
  }

  get #edited() {
    return FIELDS.some(([field]) => field.value !== (field.dataset.live ?? ""));
  }

  #mark() {
    const changed = this.#edited;
    $("apply").disabled = !changed || !$("prompt").value.trim();
    $("prompt-note").textContent = changed ? "Not painted yet" : "";
  }

  async #apply() {
    if (!this.#edited || !$("prompt").value.trim()) return;
    const sent = FIELDS.map(([field]) => field.value);
    const answer = await this.#act({ command: "prompt", prompt: sent[0], negative_prompt: sent[1], over_s: this.#over() });
    if (!answer) return;
    FIELDS.forEach(([field], index) => {
      if (field.value === sent[index]) field.value = field.dataset.live;
    });
    this.#mark();
  }
}

/** As tall as its text, where the browser cannot do that by itself. */
function grow(field) {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}
