// The page: joins the daemon's state to what is on the screen. Everything shown comes from the daemon.

import { Bank } from "./bank.js";
import { BankTools } from "./bank_tools.js";
import { Compare } from "./compare.js";
import { Connections } from "./connections.js";
import { Controls } from "./controls.js";
import { $, toastError, write } from "./dom.js";
import { Equipment } from "./equipment.js";
import { hearKeys, showHotkeys } from "./keys.js";
import { keepToken, Link, takeToken } from "./link.js";
import { Log } from "./log.js";
import { Midi } from "./midi.js";
import { Modes } from "./modes.js";
import { Playlist } from "./playlist.js";
import { Prompt } from "./prompt.js";
import { showRoute } from "./route.js";
import { gapInSignal, showDelay, showSignal } from "./signal.js";
import { Stage } from "./stage.js";
import { StyleEditor } from "./style_editor.js";
import { Tiles } from "./tiles.js";
import { engineWords } from "./words.js";

const token = takeToken();
const link = new Link(token);
const over = () => controls.overSeconds;
const stage = new Stage(link);
const compare = new Compare(() => link.headers(), async () => (await link.get("/api/v1/config")).place);
const controls = new Controls($("sliders"), $("more-controls"), (key, value) => act({ command: "set", key, value }));
const modes = new Modes(act, over);
const prompt = new Prompt(act, over);
const bank = new Bank(link);
const tiles = new Tiles(bank);
const editor = new StyleEditor(bank, act, over, (name) => tiles.focus(name));
const tools = new BankTools(bank, tiles, editor, act, over);
const playlist = new Playlist(link, act, bank);
const equipment = new Equipment(link);
const connections = new Connections(link);
const midi = new Midi(link);
const log = new Log($("log"));

let state = null;
let integrations = {};
let sent = null;
let knownControls = [];

async function act(command) {
  const began = performance.now();
  try {
    const answer = await link.command(command);
    sent = { revision: answer.revision, began };
    return answer;
  } catch (error) {
    toastError(error);
    return null;
  }
}

// ------------------------------------------------------------ what the daemon says

function showState(next) {
  if (state && next.revision < state.revision && link.isOpen && next.revision > 1) return;
  state = next;
  modes.show(state.mode);
  compare.mode(state.mode);
  stage.show(state, bank.has(state.style));
  tiles.show(state);
  tools.show(state);
  controls.show(state);
  prompt.show(state.style);
}

function showStatus(status) {
  const engine = status.engine;
  $("engine").textContent = engineWords(engine);
  $("engine").dataset.well = String(!["failed", "restarting", "given up"].includes(engine?.status));
  stage.engine(engine);
  compare.permit(Boolean(status.web?.show_raw));
  showSignal(status);
  showRoute(status);
  connections.show(status);
  equipment.show(status);
  playlist.show(status.playlist);
  integrations = status.integrations ?? {};
  midi.show(integrations.midi);
  showHotkeys(bank.styles, integrations.hotkeys);
}

stage.addEventListener("picture", ({ detail: { revision, captured } }) => {
  if (sent && revision >= sent.revision) {
    showDelay(performance.now() - sent.began);
    document.body.dataset.visibleRevision = revision;
    sent = null;
  }
  compare.painted(captured);
});

// The list of styles takes the height that the picture leaves.
new ResizeObserver(([entry]) => {
  document.documentElement.style.setProperty("--stage-height", `${Math.round(entry.contentRect.height)}px`);
  requestAnimationFrame(() => tiles.reveal());
}).observe($("stage"));

// ------------------------------------------------------------ keys

hearKeys(
  {
    f: () => modes.toggleFreeze(),
    p: () => modes.press("panic"),
    c: () => compare.toggle(),
  },
  (number) => state && tiles.chooseAt(number - 1),
);

// ------------------------------------------------------------ connection

function showLink(words, open) {
  $("link").textContent = words;
  $("link").dataset.open = String(open);
  for (const set of [$("modes"), $("steps"), $("keep"), $("controls-set")]) set.disabled = !open;
  $("tiles").toggleAttribute("inert", !open);
}

async function opened() {
  showLink("Connected", true);
  try {
    const [{ controls: known }] = await Promise.all([link.get("/api/v1/schema"), bank.read()]);
    knownControls = known;
    midi.build(known, bank.styles);
    midi.read();
    controls.build(known);
    editor.build(known);
    if (state) showState(state);
  } catch (error) {
    toastError(error);
  }
}

link.addEventListener("open", () => {
  state = null; // a daemon that was started again counts from the beginning
  stage.start();
  compare.found();
  opened();
});
link.addEventListener("state", ({ detail }) => showState(detail));
link.addEventListener("status", ({ detail }) => showStatus(detail));
link.addEventListener("event", ({ detail }) => {
  if (detail.kind === "picture") tiles.painted(detail.data?.style);
  else log.add(detail);
  if (detail.kind === "midi") midi.heard(detail);
  if (["styles", "config"].includes(detail.kind)) midi.read();
  if (["styles", "config"].includes(detail.kind)) bank.read().catch(toastError);
});
bank.addEventListener("change", () => state && showState(state));
bank.addEventListener("change", () => midi.build(knownControls, bank.styles));
link.addEventListener("closed", () => {
  stage.stop();
  compare.lost();
  showLink("Reconnecting", false);
  gapInSignal();
});
link.addEventListener("refused", () => {
  showLink("Not connected", false);
  askToken("The daemon does not know this token. ");
});

function askToken(note) {
  keepToken("");
  if (note) write($("gate-note"), `${note}Run \`phosphene open\` on the computer the daemon runs on. It opens this page with the token.`);
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
if (token) link.connect();
else askToken("");
