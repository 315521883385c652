// The events in plain words, newest first. Many changes of one kind in a row are one line.

import { write } from "./dom.js";
import { clock, eventWords } from "./words.js";

const MOST = 150;
const TOGETHER_S = 6;

export class Log {
  #list;
  #seen = new Set();
  #last = null;

  constructor(list) {
    this.#list = list;
  }

  add(event) {
    const id = `${event.t}|${event.message}`;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    const last = this.#last;
    const similar = last && event.kind === last.event.kind && topic(event) === topic(last.event);
    if (similar && event.t - last.event.t < TOGETHER_S) {
      last.item.replaceWith((this.#last = this.#line(event)).item);
      return;
    }
    this.#last = this.#line(event);
    this.#list.prepend(this.#last.item);
    while (this.#list.children.length > MOST) this.#list.lastElementChild.remove();
    if (this.#seen.size > 2000) this.#seen = new Set([...this.#seen].slice(-500));
  }

  #line(event) {
    const item = document.createElement("li");
    item.className = event.level ?? "info";
    const time = document.createElement("time");
    time.textContent = clock(event.t);
    time.dateTime = new Date(event.t * 1000).toISOString();
    const words = document.createElement("span");
    const origin = event.data?.origin;
    const said = eventWords(event);
    write(words, origin && said.endsWith(` (${origin})`) ? said.slice(0, -origin.length - 3) : said);
    item.append(time, words);
    if (origin && origin !== "web") {
      const who = document.createElement("em");
      who.textContent = origin;
      item.append(who);
    }
    return { item, event };
  }
}

/** What an event is about: the key for values that are dragged, the whole for progress, else itself. */
function topic(event) {
  if (event.kind === "progress") return "progress";
  const { command } = event.data ?? {};
  return command?.command === "set" ? `set ${command.key}` : event.message;
}
