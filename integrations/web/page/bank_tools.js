// What is done to the bank beside choosing: new, import, export, order; and keeping a look that was changed live.

import { valuesOf } from "./bank.js";
import { $, element, toast, toastError } from "./dom.js";

export class BankTools {
  #bank;
  #tiles;
  #editor;
  #state = null;

  constructor(bank, tiles, editor, act, over) {
    this.#bank = bank;
    this.#tiles = tiles;
    this.#editor = editor;
    bank.addEventListener("change", () => ($("keep").hidden = !bank.canChange));
    tiles.addEventListener("choose", ({ detail: { name } }) => act({ command: "style", name, over_s: over() }));
    tiles.addEventListener("edit", ({ detail: { name } }) => editor.edit(name));
    tiles.addEventListener("order", ({ detail: { names } }) => this.#order(names));
    $("new-style").addEventListener("click", () => this.#state && editor.create(this.#state.style));
    $("changed-new").addEventListener("click", () => editor.create(this.#state.style));
    $("changed-save").addEventListener("click", () => this.#save());
    $("changed-back").addEventListener("click", () => act({ command: "style", name: this.#state.style.name, over_s: over() }));
    $("export").addEventListener("click", () => this.#export());
    $("import").addEventListener("click", () => $("import-file").click());
    $("import-file").addEventListener("change", () => this.#import());
  }

  show(state) {
    this.#state = state;
    const style = state.style;
    const named = this.#bank.find(style?.name);
    const differs = this.#bank.canChange && Boolean(named) && !state.blend?.length && !this.#bank.has(style);
    const had = $("changed").contains(document.activeElement);
    $("changed").hidden = !differs;
    $("changed-name").textContent = style?.name ?? "";
    if (!differs && had) this.#tiles.focus(style.name); // the focus is not lost with its button
  }

  async #save() {
    const style = this.#state.style;
    const { colour, hotkey, ...values } = valuesOf(style);
    await this.#bank.edit(style.name, values).catch(toastError);
  }

  async #order(names) {
    try {
      await this.#bank.order(names);
    } catch (error) {
      toastError(error);
      await this.#bank.read();
    }
  }

  async #export() {
    try {
      const address = URL.createObjectURL(await this.#bank.exported());
      element("a", { href: address, download: "phosphene styles.yaml" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    } catch (error) {
      toastError(error);
    }
  }

  async #import() {
    const field = $("import-file");
    const [file] = field.files;
    field.value = "";
    if (!file) return;
    try {
      const more = await this.#bank.imported(await file.text(), file.name.endsWith(".json"));
      toast(more === 1 ? "One style is new." : `${more} styles are new; those of the same name were replaced.`);
    } catch (error) {
      toastError(error);
    }
  }
}
