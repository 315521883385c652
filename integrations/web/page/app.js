// The page: joins the daemon's state to what is on the screen. Everything shown comes from the daemon.

import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { keepToken, Link, takeToken } from "./link.js";
import { Log } from "./log.js";
import { Picture } from "./picture.js";
import { Tiles } from "./tiles.js";
import { count, duration, engineWords, isWell, MODES, partName, rate, SHOWING, write } from "./words.js";

const $ = (id) => document.getElementById(id);
const token = takeToken();
const link = new Link(token);
const picture = new Picture($("picture"), () => link.headers());
const chart = new Chart($("chart"));
const log = new Log($("log"));
const controls = new Controls($("sliders"), $("more-controls"), (key, value) => act({ command: "set", key, value }));
const tiles = new Tiles($("tiles"), chooseStyle);

let state = null;
let status = null;
let shownAt = 0;
let sentAt = null;
let armed = 0;

// ------------------------------------------------------------ commands

async function act(command) {
  const began = performance.now();
  try {
    const answer = await link.command(command);
    sentAt = { revision: answer.revision, began };
    return answer;
  } catch (error) {
    toast(error.mend ? `${error.message} ${error.mend}` : error.message);
    return null;
  }
}

function chooseStyle(name) {
  act({ command: "style", name, over_s: controls.overSeconds });
}

function setMode(mode) {
  act({ command: "mode", mode });
}

function toast(words) {
  const box = $("toast");
  write(box, words);
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (box.hidden = true), 6000);
}

// ------------------------------------------------------------ state

function showState(next) {
  if (state && next.revision < state.revision && link.isOpen && next.revision > 1) return;
  state = next;
  document.body.dataset.mode = state.mode;
  for (const button of document.querySelectorAll("#modes [data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode));
    // Panic is left by its own button alone.
    button.disabled = state.mode === "panic" && button.dataset.mode !== "panic";
  }
  disarm();
  $("panic-card").hidden = state.mode !== "panic";
  const named = state.blend?.length
    ? state.blend.map(([style, weight]) => `${style.name} ${Math.round(weight * 100)}%`).join(" + ")
    : state.style?.name;
  $("now-style").textContent = named || "your own words";
  $("now-note").textContent = state.mode === "styled" ? (tiles.isPure(state.style) || !named ? "" : "changed") : MODES[state.mode];
  tiles.show(state, controls.overSeconds);
  controls.show(state);
  showPrompt();
}

const prompt = $("prompt");
const negative = $("negative");

function edited() {
  return prompt.value !== (prompt.dataset.live ?? "") || negative.value !== (negative.dataset.live ?? "");
}

function showPrompt() {
  for (const [field, live] of [[prompt, state.style?.prompt ?? ""], [negative, state.style?.negative_prompt ?? ""]]) {
    const untouched = field.value === (field.dataset.live ?? "");
    field.dataset.live = live;
    if (untouched) field.value = live;
    grow(field);
  }
  markPrompt();
}

function markPrompt() {
  const changed = edited();
  $("apply").disabled = !changed || !prompt.value.trim();
  $("prompt-note").textContent = changed ? "Not painted yet" : "";
}

/** As tall as its text, where the browser cannot do that by itself. */
function grow(field) {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}

async function applyPrompt() {
  if (!edited() || !prompt.value.trim()) return;
  const sent = { prompt: prompt.value, negative: negative.value };
  const answer = await act({ command: "prompt", prompt: sent.prompt, negative_prompt: sent.negative, over_s: controls.overSeconds });
  if (!answer) return;
  if (prompt.value === sent.prompt) prompt.value = prompt.dataset.live;
  if (negative.value === sent.negative) negative.value = negative.dataset.live;
  markPrompt();
}

for (const field of [prompt, negative]) {
  field.addEventListener("input", () => (markPrompt(), grow(field)));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      applyPrompt();
    } else if (event.key === "Escape") {
      field.value = field.dataset.live ?? "";
      markPrompt();
    }
  });
}
$("controls").addEventListener("submit", (event) => (event.preventDefault(), applyPrompt()));

// ------------------------------------------------------------ modes

const bypass = document.querySelector('[data-mode="bypass"]');

/** Showing the real face takes two presses. */
function disarm() {
  clearTimeout(armed);
  armed = 0;
  bypass.textContent = "Bypass";
  bypass.classList.remove("armed");
}

function pressMode(mode) {
  if (!state || mode === state.mode) return;
  if (mode === "bypass" && !armed) {
    bypass.textContent = "Show your real face?";
    bypass.classList.add("armed");
    armed = setTimeout(disarm, 3500);
    return;
  }
  disarm();
  setMode(mode);
}

$("modes").addEventListener("click", (event) => {
  const button = event.target.closest("[data-mode]");
  if (button) pressMode(button.dataset.mode);
});
$("leave-panic").addEventListener("click", () => setMode("styled"));
$("undo").addEventListener("click", () => act({ command: "undo" }));

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("textarea, select, dialog, input:not([type=range], [type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !state) return;
  if (/^[1-9]$/.test(event.key)) tiles.chooseAt(Number(event.key) - 1);
  else if (event.key === "f") pressMode(state.mode === "freeze" ? "styled" : "freeze");
  else if (event.key === "p") pressMode("panic");
  else return;
  event.preventDefault();
});

// ------------------------------------------------------------ status

function showStatus(next) {
  status = next;
  const engine = status.engine;
  $("engine").textContent = engineWords(engine);
  $("engine").dataset.well = String(!["failed", "restarting"].includes(engine?.status));
  const metrics = status.metrics ?? {};
  chart.add(metrics);
  showFigures(metrics);
  showRoute();
  const waiting = status.needs_restart?.length ? `restart needed for ${status.needs_restart.join(", ")}` : "";
  const rests = [waiting, `up ${duration(status.uptime_s)}`, status.version && `version ${status.version}`];
  $("signal-note").textContent = status.uptime_s === undefined ? "" : rests.filter(Boolean).join(", ");
  showVeil();
}

function showFigures(metrics) {
  const latency = metrics.latency_ms ?? {};
  const figures = [
    ["Shown", rate(metrics.fps_out, 1), "fps"],
    ["Painted", rate(metrics.fps_engine, 1), "fps"],
    ["Latency", rate(latency.p50), "ms"],
    ["Worst 1%", rate(latency.p99), "ms"],
    ["Skipped", count(metrics.skipped), ""],
    ["Dropped", count(metrics.dropped), ""],
  ];
  const list = $("figures");
  if (list.children.length !== figures.length) {
    list.replaceChildren(
      ...figures.map(([name]) => {
        const figure = document.createElement("div");
        figure.className = name.split(" ")[0].toLowerCase();
        const term = document.createElement("dt");
        term.textContent = name;
        figure.append(term, document.createElement("dd"));
        return figure;
      }),
    );
  }
  figures.forEach(([, value, unit], index) => {
    const field = list.children[index].lastElementChild;
    if (field.firstChild?.data === value) return;
    const small = document.createElement("small");
    small.textContent = unit;
    field.replaceChildren(value, small);
  });
}

function showRoute() {
  const source = status.source ?? {};
  const engine = status.engine;
  const parts = [
    { ...source, role: "from", title: source.name || partName(source.kind) },
    engine && {
      ...engine,
      kind: "engine",
      role: "via",
      title: "Painter",
      detail: engineWords(engine),
      fps: status.metrics?.fps_engine,
      error: ["failed", "restarting"].includes(engine.status) ? engine.error : null,
    },
    ...(status.sinks ?? []).map((sink) => ({ ...sink, role: "to", title: partName(sink.kind) })),
  ].filter((part) => part?.kind);
  const text = JSON.stringify(parts.map((part) => [part.role, part.title, part.detail, part.status, part.error, part.mend, part.showing, Math.round(part.fps ?? 0)]));
  if (text === showRoute.shown) return;
  showRoute.shown = text;
  $("route").replaceChildren(...parts.map(routeItem));
}

function routeItem(part) {
  const item = document.createElement("li");
  item.className = `${part.role} ${isWell(part) ? "well" : "ill"}`;
  const title = document.createElement("b");
  title.textContent = part.title;
  const rateText = document.createElement("i");
  rateText.textContent = isWell(part) && Number.isFinite(part.fps) ? `${Math.round(part.fps)} fps` : "";
  const note = document.createElement("span");
  const words = [part.detail || part.status, SHOWING[part.showing]].filter(Boolean).join("; ");
  write(note, part.error || words);
  item.append(title, rateText, note);
  if (part.error && part.mend) {
    const mend = document.createElement("span");
    mend.className = "mend";
    write(mend, part.mend);
    item.append(mend);
  }
  return item;
}

// ------------------------------------------------------------ picture

picture.addEventListener("picture", ({ detail: { revision } }) => {
  shownAt = performance.now();
  if (sentAt && revision >= sentAt.revision) {
    $("styles-note").textContent = `Last change visible after ${Math.round(performance.now() - sentAt.began)} ms`;
    document.body.dataset.visibleRevision = revision;
    sentAt = null;
  }
  if (state) tiles.offer(picture.canvas, revision, state);
  showVeil();
});
setInterval(showVeil, 500);

/** What is said in the picture's place while there is none. */
function showVeil() {
  const fresh = shownAt && performance.now() - shownAt < 3000;
  $("stage").dataset.live = String(Boolean(fresh));
  document.body.dataset.live = String(Boolean(fresh && link.isOpen));
  if (fresh) return;
  const engine = status?.engine;
  const connected = link.isOpen;
  $("veil-title").textContent = connected ? "Waiting for the picture" : "The daemon does not answer";
  const note = !connected
    ? "This page goes on trying. `phosphene run` starts the daemon."
    : engine && engine.status !== "ready"
      ? engineWords(engine)
      : "";
  if (note !== showVeil.note) write($("veil-note"), (showVeil.note = note));
}

$("snapshot").addEventListener("click", async () => {
  const response = await fetch("/snapshot.png", { headers: link.headers() }).catch(() => null);
  if (!response?.ok) {
    toast("There is no picture to keep now.");
    return;
  }
  const address = URL.createObjectURL(await response.blob());
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = `phosphene ${new Date().toISOString().slice(0, 19).replaceAll(":", ".")}.png`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});
$("fullscreen").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen?.();
});

// The list of styles takes the height that the picture leaves.
new ResizeObserver(([entry]) => {
  document.documentElement.style.setProperty("--stage-height", `${Math.round(entry.contentRect.height)}px`);
  requestAnimationFrame(() => tiles.reveal());
}).observe($("stage"));

// ------------------------------------------------------------ addresses

$("copy-mjpeg").addEventListener("click", async () => {
  try {
    const { mjpeg } = await link.get("/api/v1/stream-key");
    await navigator.clipboard.writeText(location.origin + mjpeg);
    say("Copied. In OBS: Browser source, this address.");
  } catch (error) {
    say(error instanceof DOMException ? "The browser did not allow copying. Use `phosphene url --obs`." : error.message);
  }
});
$("rotate").addEventListener("click", async () => {
  try {
    await link.post("/api/v1/stream-key/rotate");
    say("The old address is dead. Copy the new one.");
  } catch (error) {
    say(error.message);
  }
});

function say(words) {
  write($("links-note"), words);
}

// ------------------------------------------------------------ connection

function showLink(words, open) {
  $("link").textContent = words;
  $("link").dataset.open = String(open);
  for (const set of [$("modes"), $("controls-set")]) set.disabled = !open;
  $("tiles").toggleAttribute("inert", !open);
}

async function opened() {
  showLink("Connected", true);
  try {
    const [{ styles }, { controls: known }] = await Promise.all([link.get("/api/v1/styles"), link.get("/api/v1/schema")]);
    tiles.build(styles);
    controls.build(known);
    if (state) showState(state);
  } catch (error) {
    toast(error.message);
  }
}

link.addEventListener("open", () => {
  state = null; // a daemon that was started again counts from the beginning
  picture.start();
  opened();
});
link.addEventListener("state", ({ detail }) => showState(detail));
link.addEventListener("status", ({ detail }) => showStatus(detail));
link.addEventListener("event", ({ detail }) => log.add(detail));
link.addEventListener("closed", () => {
  picture.stop();
  showLink("Reconnecting", false);
  chart.gap();
  showVeil();
});
link.addEventListener("refused", () => {
  showLink("Not connected", false);
  askToken("The daemon does not know this token.");
});

function askToken(note) {
  keepToken("");
  if (note) $("gate-note").prepend(`${note} `);
  $("gate").showModal();
}

$("gate").addEventListener("cancel", (event) => event.preventDefault());
$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value.trim());
  location.reload();
});
window.addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) location.reload();
});

showLink("Connecting", false);
if (token) {
  link.connect();
} else {
  askToken("");
}
