// Where pictures come from and where they go: every camera and kind there is, with what is wrong with each.

import { $, element, icon, toastError, write } from "./dom.js";
import { KINDS, partName, SHOWING } from "./words.js";

/** What only programs use. */
const UNSHOWN = new Set(["null"]);

export class Equipment {
  #link;
  #sheet = $("gear");
  #what = "source";
  #status = {};

  constructor(link) {
    this.#link = link;
    $("choose-source").addEventListener("click", () => this.#open("source"));
    $("choose-sinks").addEventListener("click", () => this.#open("sinks"));
    $("gear-again").addEventListener("click", () => this.#look());
    $("gear-list").addEventListener("submit", (event) => (event.preventDefault(), this.#take(event.target)));
    $("gear-list").addEventListener("click", (event) => {
      const button = event.target.closest("[data-take], [data-remove]");
      if (button?.dataset.take) this.#use(button.dataset.take);
      else if (button) this.#remove(button.dataset.remove);
    });
  }

  show(status) {
    this.#status = status;
  }

  #open(what) {
    this.#what = what;
    const source = what === "source";
    $("gear-title").textContent = source ? "Where the picture comes from" : "Where the picture goes";
    $("gear-list").replaceChildren(element("p", { className: "looking", textContent: "Looking at the devices" }));
    this.#told("");
    this.#sheet.showModal();
    this.#look();
  }

  async #look() {
    $("gear-again").disabled = true;
    try {
      const [devices, { sinks }] = await Promise.all([this.#link.get("/api/v1/devices"), this.#link.get("/api/v1/sinks")]);
      const rows = this.#what === "source" ? this.#sources(devices) : sinkRows(devices, sinks);
      $("gear-list").replaceChildren(...rows);
    } catch (error) {
      $("gear-list").replaceChildren();
      this.#told([error.message, error.mend].filter(Boolean).join(" "));
    } finally {
      $("gear-again").disabled = false;
    }
  }

  #sources({ cameras, sources }) {
    const now = this.#status.source ?? {};
    const rows = cameras
      .filter((camera) => !camera.virtual)
      .map((camera) =>
        row({
          title: camera.name || camera.path,
          note: camera.path,
          problem: camera.problem,
          take: `webcam:${camera.path}`,
          present: now.kind === "webcam" && now.name === camera.name,
        }),
      );
    if (!rows.length) rows.push(element("p", { className: "looking", textContent: "No camera was found." }));
    const others = sources.filter(({ kind }) => !UNSHOWN.has(kind) && kind !== "webcam");
    return [...rows, ...others.map((source) => kindRow(source, source.kind === now.kind))];
  }

  #use(given) {
    return this.#ask(() => this.#link.send("POST", "/api/v1/source", { source: given }), true);
  }

  /** A row with a field: the kind and what was typed. */
  #take(form) {
    const given = `${form.dataset.kind}:${form.querySelector("input").value.trim()}`;
    if (this.#what === "source") return this.#use(given);
    return this.#ask(() => this.#link.send("POST", "/api/v1/sinks", { sink: given }));
  }

  #remove(id) {
    const add = id.startsWith("+") ? { sink: id.slice(1) } : null;
    return this.#ask(() => (add ? this.#link.send("POST", "/api/v1/sinks", add) : this.#link.send("DELETE", `/api/v1/sinks/${id}`)));
  }

  async #ask(send, closes = false) {
    this.#told("");
    try {
      await send();
    } catch (error) {
      this.#told([error.message, error.mend].filter(Boolean).join(". "));
      return;
    }
    if (closes) this.#sheet.close();
    else this.#look().catch(toastError);
  }

  #told(words) {
    write($("gear-note"), words);
  }
}

function row({ title, note, problem, take, present, button = "Use" }) {
  const line = element("div", { className: `gear ${problem ? "ill" : ""} ${present ? "present" : ""}` });
  const words = element("div", {}, element("b", { textContent: title }));
  if (note) words.append(element("span", { textContent: note }));
  if (problem) words.append(problemOf(problem));
  line.append(words);
  if (present) line.append(element("em", { textContent: "In use" }));
  else if (take && !problem) {
    const use = element("button", { type: "button", textContent: button });
    use.dataset.take = take;
    use.setAttribute("aria-label", `${button} ${title}`);
    line.append(use);
  }
  return line;
}

/** "what is wrong → what mends it", or with a semicolon or colon in between. */
function problemOf(problem) {
  const [what, ...rest] = String(problem).split(/ → |; |: (?=sudo |install |pip )/);
  const said = element("span", { className: "problem" });
  write(said, what.replace(/^\w+: /, ""));
  if (!rest.length) return said;
  const mend = element("span", { className: "mend" });
  const cure = rest.join("; ");
  write(mend, /^(sudo|pip) /.test(cure) ? `\`${cure}\`` : cure);
  const both = element("div");
  both.append(said, mend);
  return both;
}

function kindRow({ kind, problem }, present) {
  const [title, note, example] = KINDS[kind] ?? [partName(kind), ""];
  if (!example || problem || present) return row({ title, note, problem, take: kind, present });
  const form = element("form", { className: "gear" });
  form.dataset.kind = kind;
  const field = element("input", { type: "text", placeholder: example, required: true, spellcheck: false });
  field.setAttribute("aria-label", `${title}: path`);
  form.append(element("div", {}, element("b", { textContent: title }), element("span", { textContent: note }), field), element("button", { type: "submit", textContent: "Use" }));
  return form;
}

function sinkRows({ sinks: kinds }, present) {
  const rows = present.map((sink) => {
    const words = [sink.detail || sink.status, SHOWING[sink.showing]].filter(Boolean).join("; ");
    const line = row({ title: partName(sink.kind), note: sink.error ? "" : words, problem: sink.error && [sink.error, sink.mend].filter(Boolean).join(" → ") });
    if (sink.kind !== "preview") {
      const remove = element("button", { type: "button", className: "icon", title: "Remove" }, icon("close"));
      remove.dataset.remove = sink.id;
      remove.setAttribute("aria-label", `Remove ${partName(sink.kind)}`);
      line.append(remove);
    }
    return line;
  });
  const more = kinds.filter(({ kind }) => !UNSHOWN.has(kind) && kind !== "preview");
  const adds = more.map(({ kind, problem }) => {
    const line = kindRow({ kind, problem }, false);
    const button = line.querySelector("button");
    if (button) button.textContent = "Add";
    if (button?.dataset.take) {
      button.dataset.remove = `+${button.dataset.take}`;
      button.setAttribute("aria-label", `Add ${partName(kind)}`);
      delete button.dataset.take;
    }
    return line;
  });
  return [...rows, element("h3", { textContent: "Add one" }), ...adds];
}
