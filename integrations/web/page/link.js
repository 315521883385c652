// The way to the daemon: the token, requests, and a WebSocket that comes back by itself.

const KEPT = "phosphene.token";

/** The token from the address (dropped from it at once) or from this tab's memory. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEPT) || "";
}

export function keepToken(token) {
  if (token) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
}

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message || `The daemon answered ${status}.`);
    this.status = status;
    this.mend = error?.mend || "";
  }
}

/** Events: "state" "status" "event" "open" "closed" "refused" (the token is wrong). */
export class Link extends EventTarget {
  #token;
  #socket = null;
  #waiting = new Map();
  #count = 0;
  #delay = 300;
  #timer = 0;
  #heard = 0;

  constructor(token) {
    super();
    this.#token = token;
    setInterval(() => this.#checkPulse(), 1000);
  }

  get isOpen() {
    return this.#socket?.ready === true;
  }

  headers() {
    return { Authorization: `Bearer ${this.#token}`, "X-Phosphene-Client": "web" };
  }

  async get(path) {
    return this.read(await fetch(path, { headers: this.headers() }));
  }

  /** body: sent as JSON where there is one. */
  async send(method, path, body = undefined, headers = {}) {
    const given = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    return this.read(await fetch(path, { method, ...given, headers: { ...this.headers(), ...given.headers, ...headers } }));
  }

  /** The JSON of an answer. Throws what the daemon says is wrong. */
  async read(response) {
    const body = await response.json().catch(() => null);
    if (!response.ok) throw new Refused(response.status, body?.error);
    return body;
  }

  /** Apply one command; the answer is {revision, state}. */
  command(command) {
    if (!this.isOpen) return Promise.reject(new Refused(0, { message: "The daemon is not connected." }));
    const id = ++this.#count;
    this.#socket.send(JSON.stringify({ type: "command", id, command }));
    return new Promise((done, failed) => this.#waiting.set(id, { done, failed }));
  }

  connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/ws`);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onopen = () => socket.send(JSON.stringify({ token: this.#token }));
    socket.onmessage = (message) => this.#hear(socket, JSON.parse(message.data));
    socket.onclose = (event) => this.#lost(socket, event.code);
  }

  #hear(socket, message) {
    if (socket !== this.#socket) return;
    this.#heard = Date.now();
    if (!socket.ready) {
      socket.ready = true;
      this.#delay = 300;
      this.dispatchEvent(new CustomEvent("open"));
    }
    if (message.type === "answer") {
      const asked = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) asked?.failed(new Refused(422, message.error));
      else {
        this.dispatchEvent(new CustomEvent("state", { detail: message.state }));
        asked?.done(message);
      }
    } else {
      this.dispatchEvent(new CustomEvent(message.type, { detail: message[message.type] }));
    }
  }

  #lost(socket, code) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    for (const asked of this.#waiting.values()) {
      asked.failed(new Refused(0, { message: "The daemon went away before it answered." }));
    }
    this.#waiting.clear();
    if (code === 4401) {
      this.dispatchEvent(new CustomEvent("refused"));
      return;
    }
    this.dispatchEvent(new CustomEvent("closed"));
    this.#timer = setTimeout(() => this.connect(), this.#delay);
    this.#delay = Math.min(3000, this.#delay * 1.6);
  }

  /** The daemon says something twice a second: silence means that it, or the network, is gone. */
  #checkPulse() {
    if (this.#socket && Date.now() - this.#heard > 6000) {
      const silent = this.#socket;
      this.#lost(silent, 1006);
      silent.close();
    }
  }
}
