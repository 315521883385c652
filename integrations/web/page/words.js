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
  return `${doing[engine.status] ?? engine.status}${share}${engine.message ? `: ${engine.message}` : ""}`;
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
  return !part.error && !["failed", "lost", "error", "closed", "unavailable"].includes(part.status);
}
