// Two minutes of the daemon's figures: frames a second above, latency (median, and the band up to p99) below.

const SAMPLES = 240;

export class Chart {
  #canvas;
  #samples = [];

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(metrics) {
    const latency = metrics.latency_ms ?? {};
    this.#samples.push({
      out: number(metrics.fps_out),
      engine: number(metrics.fps_engine),
      p50: number(latency.p50),
      p99: number(latency.p99),
    });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.draw();
  }

  /** A gap: the daemon was away. */
  gap() {
    if (this.#samples.length && this.#samples.at(-1) !== null) this.#samples.push(null);
  }

  draw() {
    const canvas = this.#canvas;
    const box = canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    if (!box.width) return;
    canvas.width = Math.round(box.width * ratio);
    canvas.height = Math.round(box.height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const gap = 18;
    const lane = (box.height - gap) / 2;
    pen.font = `500 11px ${style.fontFamily}`;
    const fps = { pen, colour, width: box.width - 50, top: 4, height: lane - 4, samples: this.#samples };
    const most = Math.max(10, ...this.#samples.filter(Boolean).flatMap((s) => [s.out ?? 0, s.engine ?? 0]));
    grid(fps, niceCeil(most), "fps");
    line(fps, niceCeil(most), (s) => s.engine, colour("--chart-quiet"), 1.25);
    line(fps, niceCeil(most), (s) => s.out, colour("--chart"), 1.75);
    const latency = { ...fps, top: lane + gap };
    const slowest = Math.max(20, ...this.#samples.filter(Boolean).map((s) => s.p99 ?? s.p50 ?? 0));
    grid(latency, niceCeil(slowest), "ms");
    band(latency, niceCeil(slowest));
    line(latency, niceCeil(slowest), (s) => s.p50, colour("--chart"), 1.75);
  }
}

function number(value) {
  return Number.isFinite(value) ? value : null;
}

function niceCeil(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= value * 1.05) ?? value;
}

function place({ width, top, height, samples }, index, value, most) {
  const x = width - (samples.length - 1 - index) * (width / (SAMPLES - 1));
  return [x, top + height - (value / most) * height];
}

function grid({ pen, colour, width, top, height }, most, unit) {
  pen.strokeStyle = colour("--rule");
  pen.lineWidth = 1;
  pen.fillStyle = colour("--quiet");
  pen.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(top + height * (1 - share)) + 0.5;
    pen.beginPath();
    pen.moveTo(0, y);
    pen.lineTo(width, y);
    pen.stroke();
    if (share) pen.fillText(`${+(most * share).toFixed(1)}${share === 1 ? ` ${unit}` : ""}`, width + 6, y);
  }
}

function line(lane, most, pick, colour, weight) {
  const { pen } = lane;
  pen.strokeStyle = colour;
  pen.lineWidth = weight;
  pen.lineJoin = "round";
  pen.beginPath();
  let drawing = false;
  lane.samples.forEach((sample, index) => {
    const value = sample && pick(sample);
    if (value === null || value === undefined) {
      drawing = false;
      return;
    }
    const [x, y] = place(lane, index, value, most);
    if (drawing) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    drawing = true;
  });
  pen.stroke();
}

function band(lane, most) {
  const { pen, colour, samples } = lane;
  pen.fillStyle = colour("--chart-band");
  const step = lane.width / (SAMPLES - 1);
  samples.forEach((sample, index) => {
    if (!sample || sample.p50 === null || sample.p99 === null) return;
    const [x, high] = place(lane, index, sample.p99, most);
    const [, low] = place(lane, index, sample.p50, most);
    pen.fillRect(x - step / 2, high, step + 0.25, low - high);
  });
}
