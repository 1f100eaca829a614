// The sequence diagram of one connection's life: a list of steps, drawn between the lines of those who take part.

import { el, reconcile, setText } from "./dom.js";
import { age, bytes, duration, stamp } from "./format.js";
import { explain } from "./words.js";

const pause = 1000; // milliseconds between two steps that are worth showing as a gap

export class Life {
  constructor(parent, title) {
    this.parent = parent;
    this.title = title;
    this.empty = el("div", { class: "empty" },
      el("p", { class: "lead" }, "No connection is chosen."),
      el("p", {}, "Choose one, by a click or with the arrow keys: here it is drawn as it happens, each step with the system call behind it."));
    this.lanes = el("div", { class: "lanes", "aria-hidden": "true" });
    this.steps = el("ol", { class: "steps" });
    this.summary = el("p", { class: "summary" });
    this.diagram = el("div", { class: "diagram", hidden: true }, this.summary, this.lanes, this.steps);
    parent.append(this.empty, this.diagram);
  }

  /** show draws a life, and of the connection what has changed since; either may be missing. */
  show(life, conn) {
    this.empty.hidden = Boolean(life);
    this.diagram.hidden = !life;
    if (!life) {
      setText(this.title, "Life of a connection");
      return;
    }
    if (this.id !== life.id) {
      this.id = life.id;
      this.steps.replaceChildren();
    }
    const names = life.target ? [life.peer, "tincan", life.target] : life.role === "dialled" ? ["tincan", life.peer] : [life.peer, "tincan"];
    const self = life.role === "dialled" && !life.target ? 0 : 1;
    this.diagram.dataset.lanes = names.length;
    this.diagram.dataset.self = self;
    setText(this.title, `Life of ${life.peer}`);
    this.showSummary(conn);
    reconcile(this.lanes, names.map((_, i) => i), () => el("span"), (span, i) => {
      setText(span, names[i]);
      span.title = names[i];
      span.classList.toggle("self", i === self);
    });
    const panel = this.parent.parentElement;
    const atEnd = panel.scrollTop > 0 && panel.scrollHeight - panel.scrollTop - panel.clientHeight < 80;
    this.showSteps(life, conn, names, self);
    if (atEnd) panel.scrollTop = panel.scrollHeight; // whoever reads the end sees it grow
  }

  showSummary(conn) {
    if (!conn) return;
    const ended = conn.state === "ended";
    const words = [
      ended ? `${conn.outcome} after ${duration(Math.max(conn.ended - conn.since, 0.001))}` : `${conn.state} for ${age(Date.now() - conn.since)}`,
      [conn.family, ...(conn.layers ?? [])].join(", "),
      `${bytes(conn.received)} received, ${bytes(conn.sent)} sent`,
    ];
    if (conn["first-byte"]) words.push(`first byte after ${duration(conn["first-byte"])}`);
    if (conn.error) words.push(conn.error);
    setText(this.summary, words.join(" · "));
  }

  showSteps(life, conn, names, self) {
    const rows = [];
    const known = new Set();
    life.steps.forEach((step, i) => {
      if (i === life.after && life.omitted) rows.push({ key: "omitted", note: `${life.omitted} more steps between` });
      const before = i > 0 ? life.steps[i - 1].until ?? life.steps[i - 1].at : 0;
      if (step.at - before > pause && !step.messages && !(i === life.after && life.omitted)) rows.push({ key: `gap${step.n}`, note: `${duration(step.at - before)} of silence`, gap: true });
      const why = explain(step, conn?.family);
      rows.push({ key: step.n, step, why: known.has(why) ? "" : why });
      known.add(why);
    });
    if (conn && conn.state !== "ended") rows.push({ key: "live", live: true });
    const byKey = new Map(rows.map((r) => [r.key, r]));
    reconcile(this.steps, rows.map((r) => r.key), () => el("li"), (li, key) => {
      const row = byKey.get(key);
      if (row.step) this.drawStep(li, row, names, self);
      else if (row.live) this.drawLive(li, conn);
      else this.drawNote(li, row);
    });
  }

  drawNote(li, row) {
    if (li.dataset.drawn === row.note) return;
    li.dataset.drawn = row.note;
    li.className = row.gap ? "note gap" : "note";
    li.replaceChildren(lines(), el("span", { class: "words" }, row.note));
  }

  drawLive(li, conn) {
    const text = conn.state === "open" ? "open: the next step is drawn here" : `${conn.state}: the other direction goes on`;
    if (li.dataset.drawn === text) return;
    li.dataset.drawn = text;
    li.className = "live";
    li.replaceChildren(lines(), el("span", { class: "pulse", "aria-hidden": "true" }), el("span", { class: "words" }, text));
  }

  drawStep(li, row, names, self) {
    const { step } = row;
    const drawn = JSON.stringify([step, row.why, names.length]);
    if (li.dataset.drawn === drawn) return;
    const isNew = li.dataset.drawn === undefined;
    li.dataset.drawn = drawn;
    li.className = `step ${step.kind} ${step.way}${step.failed ? " failed" : ""}${isNew ? " new" : ""}`;
    const [from, to] = ends(step, names.length, self);
    li.dataset.from = from;
    li.dataset.to = to;
    const words = [step.what];
    if (step.calls > 1) words.push(`in ${step.calls} calls`);
    if (step.result) words.push(step.result);
    const label = el("span", { class: "label" }, el("b", {}, words[0]), ...(words.length > 1 ? [el("span", {}, ` · ${words.slice(1).join(" · ")}`)] : []));
    const arrow = el("span", { class: "arrow", "aria-hidden": "true" });
    if (step.bytes) arrow.style.setProperty("--weight", `${Math.min(1.5 + Math.log10(step.bytes) * 0.6, 6).toFixed(1)}px`);
    li.replaceChildren(
      lines(),
      el("time", {}, stamp(step.at)),
      el("div", { class: "stage" }, label, arrow),
      el("code", { class: "call" }, step.call ?? ""),
      ...(row.why ? [el("p", { class: "why" }, row.why)] : []),
    );
  }
}

/** lines draws the life lines behind a row. */
const lines = () => el("span", { class: "lines", "aria-hidden": "true" }, el("i"), el("i"), el("i"));

/** ends gives the lanes from and to which an arrow goes. */
function ends(step, lanes, self) {
  const other = step.side === "target" ? lanes - 1 : self === 0 ? 1 : 0;
  if (step.side === "through" && lanes === 3) return step.way === "in" ? [0, 2] : [2, 0];
  if (step.way === "self") return [self, self];
  // What the target sends comes in from it, and what it is asked goes out: as of the peer.
  return step.way === "in" ? [other, self] : [self, other];
}
