// From where to where the picture goes, and what is wrong on the way.

import { $, element, write } from "./dom.js";
import { engineWords, isWell, partName, SHOWING } from "./words.js";

let shown = "";

export function showRoute(status) {
  const source = status.source ?? {};
  const engine = status.engine;
  const parts = [
    { ...source, role: "from", title: source.name || partName(source.kind) },
    engine && {
      ...engine,
      kind: "engine",
      role: "via",
      title: "Painter",
      detail: [engineWords(engine), status.deadline?.given_up && `to be in time: ${status.deadline.given_up}`].filter(Boolean).join("; "),
      fps: status.metrics?.fps_engine,
      error: ["failed", "restarting", "given up"].includes(engine.status) ? engine.error || engine.message : null,
    },
    ...(status.sinks ?? []).map((sink) => ({ ...sink, role: "to", title: partName(sink.kind) })),
  ].filter((part) => part?.kind);
  const text = JSON.stringify(parts.map((part) => [part.role, part.title, part.detail, part.status, part.error, part.mend, part.showing, Math.round(part.fps ?? 0)]));
  if (text === shown) return;
  shown = text;
  $("route").replaceChildren(...parts.map(item));
}

function item(part) {
  const well = isWell(part);
  const row = element("li", { className: `${part.role} ${well ? "well" : "ill"}` });
  const rate = well && Number.isFinite(part.fps) ? `${Math.round(part.fps)} fps` : "";
  const note = element("span");
  write(note, part.error || [part.detail || part.status, SHOWING[part.showing]].filter(Boolean).join("; "));
  row.append(element("b", { textContent: part.title }), element("i", { textContent: rate }), note);
  if (part.error && part.mend) {
    const mend = element("span", { className: "mend" });
    write(mend, part.mend);
    row.append(mend);
  }
  return row;
}
