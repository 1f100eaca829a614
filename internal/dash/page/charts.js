// The charts of throughput and latency, drawn by uPlot from one sample a second.

import uPlot from "./uplot/uPlot.esm.js";
import { byId, el, reconcile, setText } from "./dom.js";
import { clock, duration, rate } from "./format.js";
import { latencies } from "./words.js";

const longest = 300; // seconds that the charts show, shortest while there are no more
const shortest = 60;

export class Charts {
  constructor() {
    this.samples = [];
    this.kind = null; // of the latency that is shown
    this.throughput = new Chart(byId("throughput"), byId("throughput-legend"), "Throughput", rate, [
      { key: "received", name: "received", of: (s) => s.received, colour: "in", area: true },
      { key: "sent", name: "sent", of: (s) => s.sent, colour: "out", dash: [7, 3] },
    ]);
    this.latency = new Chart(byId("latency"), byId("latency-legend"), "Latency", duration, [
      { key: "p99", name: "99th percentile", of: (s) => s.latency?.[this.kind]?.p99 ?? null, colour: "faint", points: true, dash: [2, 4] },
      { key: "p50", name: "median", of: (s) => s.latency?.[this.kind]?.p50 ?? null, colour: "ink", points: true },
    ]);
    const resized = new ResizeObserver(() => this.draw());
    for (const id of ["throughput", "latency"]) resized.observe(byId(id));
  }

  /** load fetches what was before this page. */
  async load() {
    try {
      const answer = await fetch("/history");
      if (!answer.ok) return;
      const before = await answer.json();
      const first = this.samples[0]?.at ?? Infinity;
      this.samples = [...(before ?? []).filter((s) => s.at < first), ...this.samples];
      this.draw();
    } catch { /* Then the charts begin now. */ }
  }

  add(sample) {
    if (this.samples.at(-1)?.at >= sample.at) return;
    this.samples.push(sample);
    while (this.samples.length > 2 * longest) this.samples.shift();
    this.draw();
  }

  /** latest gives the last latency that was measured, of the kind that is shown. */
  latest() {
    const s = this.samples.findLast((s) => s.latency?.[this.kind]);
    return s && { name: latencies[this.kind].name, ...s.latency[this.kind] };
  }

  draw() {
    const now = (this.samples.at(-1)?.at ?? Date.now()) / 1000;
    const began = (this.samples[0]?.at ?? 0) / 1000;
    const seconds = Math.min(Math.max(Math.ceil((now - began) / shortest) * shortest, shortest), longest);
    const shown = this.samples.filter((s) => s.at / 1000 > now - seconds);
    this.chooseKind(shown);
    this.throughput.draw(shown, [now - seconds, now]);
    this.latency.draw(shown, [now - seconds, now]);
  }

  /** chooseKind offers the kinds of latency that there are. */
  chooseKind(shown) {
    const kinds = Object.keys(latencies).filter((k) => shown.some((s) => s.latency?.[k]));
    if (!kinds.includes(this.kind) && kinds.length > 0) this.kind = kinds[0];
    const group = byId("latency-kinds");
    group.hidden = kinds.length < 2;
    reconcile(group, kinds, (k) => el("button", { type: "button", on: { click: () => { this.kind = k; this.draw(); } } }, latencies[k].name),
      (button, k) => button.setAttribute("aria-pressed", String(k === this.kind)));
    setText(byId("latency-caption"), this.kind ? latencies[this.kind].caption : "Nothing has been measured yet: connect, or send a request.");
  }

  restyle() {
    this.throughput.restyle();
    this.latency.restyle();
    this.draw();
  }
}

class Chart {
  constructor(parent, legend, title, write, series) {
    Object.assign(this, { parent, legend, title, write, series });
  }

  draw(samples, range) {
    const data = [samples.map((s) => s.at / 1000), ...this.series.map((line) => samples.map(line.of))];
    this.range = range;
    if (!this.plot) this.make(data);
    const { clientWidth: width, clientHeight: height } = this.parent;
    if (width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
    this.plot.setData(data);
    this.samples = samples;
    this.describe(samples.length - 1);
  }

  make(data) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const font = `11px ${style.getPropertyValue("--text")}`;
    const axis = { stroke: colour("muted"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.plot = new uPlot({
      width: this.parent.clientWidth || 300,
      height: this.parent.clientHeight || 180,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { range: () => this.range },
        y: { range: (_, low, high) => [0, Math.max(high ?? 0, this.write === rate ? 64 : 0.05) * 1.12] },
      },
      axes: [
        { ...axis, size: 28, space: 84, values: (_, ticks) => ticks.map((t) => clock(t * 1000)), incrs: [10, 15, 30, 60] },
        { ...axis, size: 68, space: 34, values: (_, ticks) => ticks.map((t) => (t === 0 ? "0" : this.write(t))), ...(this.write === rate ? { incrs: powers } : {}) },
      ],
      series: [{}, ...this.series.map((line) => ({
        label: line.name,
        stroke: colour(line.colour),
        fill: line.area ? colour("in-soft") : undefined,
        width: 2,
        dash: line.dash,
        points: { show: line.points ?? false, size: 5, fill: colour(line.colour) },
        spanGaps: false,
      }))],
      hooks: { setCursor: [(u) => this.describe(u.cursor.idx ?? this.samples?.length - 1, u.cursor.idx != null)] },
    }, data, this.parent);
    this.parent.classList.toggle("still", still);
  }

  /** describe says in the legend what the lines are at one sample, and to those who don't see the chart what it shows. */
  describe(index, pointed = false) {
    const s = this.samples?.[index];
    const at = (line) => (s ? line.of(s) : null);
    reconcile(this.legend, this.series.map((line) => line.key), (key) => el("li", { class: key }, el("i", { "aria-hidden": "true" }), el("span"), el("b")), (li, key) => {
      const line = this.series.find((other) => other.key === key);
      setText(li.children[1], line.name);
      setText(li.children[2], at(line) === null ? "–" : this.write(at(line)));
    });
    this.legend.dataset.at = pointed && s ? clock(s.at) : "";
    if (pointed) return;
    this.parent.setAttribute("aria-label", `${this.title} of the last minutes; now ${this.series.map((line) => `${line.name} ${at(line) === null ? "nothing" : this.write(at(line))}`).join(", ")}`);
  }

  restyle() {
    this.plot?.destroy();
    this.plot = null;
  }
}

// Steps of an axis of bytes: 1, 2, 4, 8 ... so that its labels are round.
const powers = Array.from({ length: 45 }, (_, i) => 2 ** i);
