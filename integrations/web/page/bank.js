// The style bank as the daemon keeps it: read, changed, and the pictures of its styles.

const STYLES = "/api/v1/styles";
const LOOK = ["prompt", "negative_prompt", "guidance", "guidance_scale", "delta", "strength", "seed"];
const KEPT = [...LOOK, "loras", "colour", "hotkey"];

/** Events: "change" when the bank was read anew. */
export class Bank extends EventTarget {
  #link;
  #reading = null;
  styles = [];
  /** Names this state of the bank; null: this server cannot change it. */
  tag = null;

  constructor(link) {
    super();
    this.#link = link;
  }

  get canChange() {
    return this.tag !== null;
  }

  find(name) {
    return this.styles.find((style) => style.name === name);
  }

  /** Whether the style is the bank's of that name, unchanged. */
  has(style) {
    const known = this.find(style?.name);
    return Boolean(known) && LOOK.every((key) => known[key] === undefined || known[key] === style[key]);
  }

  /** Reads the bank; calls that come while it is being read are one more reading. */
  async read() {
    if (this.#reading) {
      this.#reading.again = true;
      return;
    }
    const reading = (this.#reading = { again: true });
    try {
      while (reading.again) {
        reading.again = false;
        this.#take(await this.#link.get(STYLES));
      }
    } finally {
      this.#reading = null;
    }
  }

  async add(name, values, before = null) {
    this.#take(await this.#link.send("POST", STYLES, { name, ...values, ...(before ? { before } : {}) }));
  }

  /** Changes what `values` names, and the name where it is another one. */
  async edit(name, values, newName = name) {
    this.#take(await this.#link.send("PATCH", at(name), newName === name ? values : { ...values, name: newName }));
  }

  /** Returns what brings it back. */
  async remove(name) {
    const [style, order] = [this.find(name), this.styles.map((known) => known.name)];
    this.#take(await this.#link.send("DELETE", at(name)));
    return async () => {
      await this.#link.send("PUT", at(name), valuesOf(style));
      this.#take(await this.#link.send("PUT", "/api/v1/style-order", { names: order }));
    };
  }

  /** Refused when somebody else has changed the bank since it was read. */
  async order(names) {
    this.#take(await this.#link.send("PUT", "/api/v1/style-order", { names }, { "If-Match": `"${this.tag}"` }));
  }

  async exported() {
    const response = await fetch("/api/v1/style-bank?format=yaml", { headers: this.#link.headers() });
    if (!response.ok) throw new Error("The styles cannot be exported now.");
    return response.blob();
  }

  /** text: of a file that was exported, JSON or YAML. */
  async imported(text, isJson) {
    const before = this.styles.length;
    const headers = { ...this.#link.headers(), "Content-Type": isJson ? "application/json" : "application/yaml" };
    this.#take(await this.#link.read(await fetch("/api/v1/style-bank", { method: "POST", headers, body: text })));
    return this.styles.length - before;
  }

  /** The picture of a style as a bitmap; null while it is still to be painted. */
  async picture(style) {
    const response = await fetch(style.picture.address, { headers: this.#link.headers() });
    return response.status === 200 ? createImageBitmap(await response.blob()) : null;
  }

  #take({ styles, tag = null }) {
    this.styles = styles;
    this.tag = tag;
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** What is kept of a style, or of the live look. */
export function valuesOf(style) {
  return Object.fromEntries(KEPT.filter((key) => style[key] !== undefined).map((key) => [key, key === "loras" ? lorasOf(style.loras) : style[key]]));
}

/** The live state has pairs, the bank a mapping. */
function lorasOf(loras) {
  return Array.isArray(loras) ? Object.fromEntries(loras) : loras;
}

function at(name) {
  return `${STYLES}/${encodeURIComponent(name)}`;
}
