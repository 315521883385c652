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
      return `${sentence(command.key)} set to ${command.value}`;
    case "mode":
      return { styled: "Styled: the painting is shown", freeze: "Freeze: the picture is held", bypass: "Bypass: the camera’s own picture is shown", panic: "Panic: the slate is shown, the camera is closed" }[command.mode];
    case "undo":
      return "Undone";
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
  const doing = { starting: "Engine starts", loading: "Model loads", warming: "Engine warms up", restarting: "Engine restarts", failed: "Engine failed" };
  const why = engine.message || engine.error;
  return `${doing[engine.status] ?? engine.status}${share}${why ? `: ${why}` : ""}`;
}

/** Puts `text` into `element`; what stands between backticks is set as code. */
export function write(element, text) {
  const pieces = String(text).split("`");
  element.replaceChildren(
    ...pieces.map((piece, index) => {
      if (index % 2 === 0 || index === pieces.length - 1) return piece;
      const code = document.createElement("code");
      code.textContent = piece;
      return code;
    }),
  );
}

export function isWell(part) {
  return !part.error && !["failed", "lost", "error", "stalled", "unavailable"].includes(part.status);
}
