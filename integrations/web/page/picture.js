// The live picture: reads the multipart stream, draws the newest picture, comes back by itself.

const STALLED_MS = 4000;

/** Events: "picture" {revision}; "lost" when the stream ends. */
export class Picture extends EventTarget {
  #canvas;
  #headers;
  #stop = null;
  #newest = null;
  #decoding = false;
  #delay = 300;
  #wanted = false;
  #timer = 0;
  frames = 0;

  constructor(canvas, headers) {
    super();
    this.#canvas = canvas;
    this.#headers = headers;
    document.addEventListener("visibilitychange", () => {
      // A hidden tab looks at nothing: without viewers the daemon does not even encode.
      if (document.hidden) this.#stop?.abort();
      else this.#read();
    });
  }

  get canvas() {
    return this.#canvas;
  }

  /** Read as long as the daemon is there. */
  start() {
    this.#wanted = true;
    this.#delay = 300;
    this.#read();
  }

  stop() {
    this.#wanted = false;
    this.#stop?.abort();
  }

  async #read() {
    if (this.#stop || !this.#wanted || document.hidden) return;
    clearTimeout(this.#timer);
    const stop = (this.#stop = new AbortController());
    let watch = 0;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), STALLED_MS);
    };
    try {
      alive();
      const response = await fetch("/stream.mjpeg", { headers: this.#headers(), signal: stop.signal });
      if (!response.ok) throw new Error(String(response.status));
      const parts = new Parts();
      const reader = response.body.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        for (const part of parts.add(value)) this.#show(part);
        this.#delay = 300;
      }
    } catch {
      // the network, the daemon or our own watch ended it: below we try again
    } finally {
      clearTimeout(watch);
      this.#stop = null;
      this.dispatchEvent(new CustomEvent("lost"));
      this.#timer = setTimeout(() => this.#read(), this.#delay);
      this.#delay = Math.min(3000, this.#delay * 1.6);
    }
  }

  /** While one picture is decoded only the newest of those that follow is kept. */
  async #show(part) {
    this.#newest = part;
    if (this.#decoding) return;
    this.#decoding = true;
    while (this.#newest) {
      const { jpeg, revision } = this.#newest;
      this.#newest = null;
      try {
        const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
        this.#draw(bitmap);
        bitmap.close();
        this.frames += 1;
        this.dispatchEvent(new CustomEvent("picture", { detail: { revision } }));
      } catch {
        // a damaged picture is not shown; the next one is a moment away
      }
    }
    this.#decoding = false;
  }

  #draw(bitmap) {
    const canvas = this.#canvas;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.parentElement.style.setProperty("--aspect", bitmap.width / bitmap.height);
    }
    canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  }
}

/** Cuts the byte stream into {jpeg, revision} by the Content-Length of each part. */
class Parts {
  #bytes = new Uint8Array(0);

  *add(chunk) {
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    this.#bytes = joined;
    for (;;) {
      const end = this.#headEnd();
      if (end < 0) return;
      const head = new TextDecoder("latin1").decode(this.#bytes.subarray(0, end));
      const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
      if (!length) throw new Error("a part without a length");
      if (this.#bytes.length < end + 4 + length) return;
      const jpeg = this.#bytes.slice(end + 4, end + 4 + length);
      this.#bytes = this.#bytes.slice(end + 4 + length);
      yield { jpeg, revision: Number(/x-revision: *(\d+)/i.exec(head)?.[1] || 0) };
    }
  }

  #headEnd() {
    const bytes = this.#bytes;
    for (let i = 0; i + 3 < Math.min(bytes.length, 1024); i += 1) {
      if (bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i;
    }
    return -1;
  }
}
