// JPEGs onto a canvas: while one is decoded, only the newest of those that follow is kept.

/** Events: "picture" {revision, captured} after each one drawn. */
export class Picture extends EventTarget {
  #newest = null;
  #decoding = false;
  #given = 0;

  constructor(canvas) {
    super();
    this.canvas = canvas;
  }

  async show(part) {
    this.#newest = part;
    if (this.#decoding) return;
    this.#decoding = true;
    while (this.#newest) {
      const { jpeg, revision, captured } = this.#newest;
      const given = this.#given;
      this.#newest = null;
      try {
        const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
        if (given === this.#given) {
          this.#draw(bitmap);
          this.dispatchEvent(new CustomEvent("picture", { detail: { revision, captured } }));
        }
        bitmap.close();
      } catch {
        // a damaged picture is not shown; the next one is a moment away
      }
    }
    this.#decoding = false;
  }

  /** Nothing of what came before stays on the canvas. */
  clear() {
    this.#newest = null;
    this.#given += 1;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #draw(bitmap) {
    const canvas = this.canvas;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  }
}
