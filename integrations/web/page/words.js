// Facts into plain words.

const NAMES = {
  virtual_camera: "Virtual camera",
  preview: "This page",
  recorder: "Recorder",
  webcam: "Camera",
  video_file: "Video file",
  test_pattern: "Test pattern",
  demo: "Demo portrait",
  noise: "Noise, no camera",
  image: "Image",
};

/** Kinds of sources and sinks to choose from: name, what it is, and an example where it needs a path. */
export const KINDS = {
  auto: ["Any camera", "the first one that works, or the demo portrait"],
  demo: ["Demo portrait", "moves by itself, needs no camera"],
  test_pattern: ["Test pattern", "bars, a clock and a moving ball"],
  noise: ["No camera", "paints from words alone"],
  image: ["Image", "one picture file", "/home/me/face.jpg"],
  video_file: ["Video file", "played again and again", "/home/me/clip.mp4"],
  virtual_camera: ["Virtual camera", "for calls and OBS"],
  recorder: ["Recorder", "writes a video file", "/home/me/out.mp4"],
};

/** Other ways to steer the daemon: their name, and how one that is off is switched on. */
export const INTEGRATIONS = {
  obs: ["OBS", "`obs: {enabled: true}` in your settings lets scenes choose styles."],
  hotkeys: ["Hotkeys", "`hotkeys: {enabled: true}` in your settings: keys that work in every window."],
  midi: ["MIDI", "`midi: {enabled: true}` in your settings: knobs and pads."],
  osc: ["OSC", "`osc: {enabled: true}` in your settings: TouchOSC, QLab, Max."],
};

export const MODES = {
  styled: "painted live",
  freeze: "held: the picture stands still",
  bypass: "the camera’s own picture is shown",
  panic: "slate",
};

/** An event as a sentence. Changes of the state are told by their command, the others tell themselves. */
export function eventWords(event) {
  const command = event.kind === "state" && event.data?.command;
  switch (command?.command) {
    case "style":
      return `Style ${command.name}`;
    case "step":
      return `Style ${event.data.state?.style?.name ?? "changed"}`;
    case "blend":
      return `Blend of ${Object.keys(command.weights).join(" and ")}`;
    case "prompt":
      return `Prompt “${command.prompt}”`;
    case "set":
      return `${sentence(command.key)} set to ${Array.isArray(command.value) ? command.value.join(", ") : command.value}`;
    case "mode":
      return { styled: "Styled: the painting is shown", freeze: "Freeze: the picture is held", bypass: "Bypass: the camera’s own picture is shown", panic: "Panic: the slate is shown, the camera is closed" }[command.mode];
    case "random":
      return `Style ${event.data.state?.style?.name ?? "changed"}, at random`;
    case "look":
      return `Look ${event.data.state?.style?.name ?? "changed"}`;
    case "undo":
      return "Undone";
    case "redo":
      return "Done again";
    default:
      return event.message;
  }
}

export function sentence(key) {
  const words = String(key).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What a sink shows when it is not the live painting. */
export const SHOWING = {
  held: "holds the last painted picture",
  frozen: "holds one picture",
  raw: "shows the camera’s own picture",
  blur: "shows the camera’s own picture, blurred",
  slate: "shows the slate",
};

export function partName(kind) {
  return NAMES[kind] ?? String(kind ?? "").replaceAll("_", " ");
}

export function rate(value, digits = 0) {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

export function count(value) {
  return Number.isFinite(value) ? value.toLocaleString("en") : "–";
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

/** The engine in one line, and whether it is at work. */
export function engineWords(engine) {
  if (!engine) return "";
  const where = [engine.device === "cpu" ? "CPU" : engine.device, engine.dtype].filter(Boolean).join(" ");
  const what = [engine.model, where, engine.size].filter(Boolean).map(String).join(", ");
  if (engine.status === "ready" || !engine.status) return what;
  const share = Number.isFinite(engine.progress) && engine.progress < 1 ? ` ${Math.round(engine.progress * 100)}%` : "";
  const doing = { starting: "Engine starts", loading: "Model loads", warming: "Engine warms up", restarting: "Engine restarts", failed: "Engine failed", "given up": "Engine given up" };
  const why = engine.message || engine.error;
  return `${doing[engine.status] ?? engine.status}${share}${why ? `: ${why}` : ""}`;
}

export function isWell(part) {
  return !part.error && !["failed", "lost", "error", "stalled", "stuck", "given up", "unavailable"].includes(part.status);
}

/** `ctrl+alt+1` as it stands on the keys. */
export function keyWords(combination) {
  const names = { ctrl: "Ctrl", alt: "Alt", shift: "Shift", super: "Super" };
  return combination.split("+").map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : sentence(part))).join(" ");
}

const KEYS = { " ": "space", Enter: "", Tab: "", Escape: "", Backspace: "", Delete: "" };

/** The combination that a key press writes; "" for what is typed, moves the focus or is a modifier alone. */
export function hotkeyOf(event) {
  const held = [event.ctrlKey && "ctrl", event.altKey && "alt", event.shiftKey && "shift", event.metaKey && "super"].filter(Boolean);
  if (["Control", "Alt", "Shift", "Meta", "AltGraph"].includes(event.key) || event.key in KEYS) return "";
  const digit = /^(?:Digit|Key)(.)$/.exec(event.code)?.[1]?.toLowerCase();
  const key = digit ?? event.key.toLowerCase();
  const alone = /^f\d+$/.test(key);
  if (!alone && !held.some((name) => name !== "shift")) return "";
  if (key === "v" && held.join() === "ctrl") return ""; // pasting
  return [...held, key].join("+");
}
