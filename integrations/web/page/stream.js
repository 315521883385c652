// One multipart stream of JPEGs: reads it as long as it is wanted and somebody looks, and comes back by itself.

const STALLED_MS = 4000;

/** Events: "part" {jpeg, revision, captured}; "lost" when the stream ends. captured: ns of the camera's clock. */
export class Stream extends EventTarget {
  #path;
  #headers;
  #stop = null;
  #delay = 300;
  #wanted = false;
  #timer = 0;

  constructor(path, headers) {
    super();
    this.#path = path;
    this.#headers = headers;
    document.addEventListener("visibilitychange", () => {
      // A hidden tab looks at nothing: without viewers the daemon does not even encode.
      if (document.hidden) this.#stop?.abort();
      else this.#read();
    });
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
      const response = await fetch(this.#path, { headers: this.#headers(), signal: stop.signal });
      if (!response.ok) throw new Error(String(response.status));
      const parts = new Parts();
      const reader = response.body.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        for (const part of parts.add(value)) this.dispatchEvent(new CustomEvent("part", { detail: part }));
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
}

/** Cuts the byte stream into parts by the Content-Length of each. */
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
      const number = (name) => Number(new RegExp(`${name}: *(-?\\d+)`, "i").exec(head)?.[1] || 0);
      const length = number("content-length");
      if (!length) throw new Error("a part without a length");
      if (this.#bytes.length < end + 4 + length) return;
      const jpeg = this.#bytes.slice(end + 4, end + 4 + length);
      this.#bytes = this.#bytes.slice(end + 4 + length);
      yield { jpeg, revision: number("x-revision"), captured: number("x-captured") };
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
