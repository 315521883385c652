// The figures above the chart, which are its key too.

import { $, element } from "./dom.js";
import { Chart } from "./chart.js";
import { count, duration, rate } from "./words.js";

const chart = new Chart($("chart"));
let delay = NaN;

export function showSignal(status) {
  const metrics = status.metrics ?? {};
  const latency = metrics.latency_ms ?? {};
  chart.add(metrics);
  show([
    ["Shown", rate(metrics.fps_out, 1), "fps"],
    ["Painted", rate(metrics.fps_engine, 1), "fps"],
    ["Latency", rate(latency.p50), "ms"],
    ["Worst 1%", rate(latency.p99), "ms"],
    ["Change seen", rate(delay), "ms"],
    ["Skipped", count(metrics.skipped), ""],
    ["Dropped", count(metrics.dropped), ""],
  ]);
  const waiting = status.needs_restart?.length ? `restart needed for ${status.needs_restart.join(", ")}` : "";
  const rests = [waiting, `up ${duration(status.uptime_s)}`, status.version && `version ${status.version}`];
  $("signal-note").textContent = status.uptime_s === undefined ? "" : rests.filter(Boolean).join(", ");
}

export function gapInSignal() {
  chart.gap();
}

/** From a command's going out to the first picture of its revision here. */
export function showDelay(ms) {
  delay = ms;
}

function show(figures) {
  const list = $("figures");
  if (list.children.length !== figures.length) {
    list.replaceChildren(
      ...figures.map(([name]) => element("div", { className: name.split(" ")[0].toLowerCase() }, element("dt", { textContent: name }), element("dd"))),
    );
  }
  figures.forEach(([, value, unit], index) => {
    const field = list.children[index].lastElementChild;
    if (field.firstChild?.data !== value) field.replaceChildren(value, element("small", { textContent: unit }));
  });
}
