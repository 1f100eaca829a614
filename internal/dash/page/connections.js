// The list of connections: a grid that is walked with the arrows.

import { byId, commands, el, reconcile, setText } from "./dom.js";
import { age, bytes, clock, duration, rate } from "./format.js";

const most = 200; // rows: more are found by filtering
const span = 40; // samples of a row's spark line

const columns = [
  ["state", "State"], ["peer", "Peer"], ["family", "Family"],
  ["received", "Received"], ["sent", "Sent"], ["rate", "Rate"], ["age", "Age"],
];

export class Connections {
  constructor(parent, counter, choose) {
    this.parent = parent;
    this.counter = counter;
    this.choose = choose;
    this.list = [];
    this.rows = new Map();
    this.rates = new Map();
    this.chosen = null;
    this.try = [];
    this.body = el("tbody");
    this.table = el("table", { role: "grid", "aria-labelledby": "connections-title", "aria-readonly": "true" },
      el("thead", {}, el("tr", {}, ...columns.map(([key, name]) => el("th", { scope: "col", class: key }, name)))), this.body);
    this.table.addEventListener("keydown", (e) => this.walk(e));
    this.more = el("p", { class: "caption" });
    this.empty = el("div", { class: "empty" });
    this.filter = byId("filter");
    this.order = byId("order");
    for (const input of [this.filter, this.order]) input.addEventListener("input", () => this.draw());
    this.filter.addEventListener("keydown", (e) => {
      if (e.key === "ArrowDown" || e.key === "Enter") {
        e.preventDefault();
        this.focus();
      }
    });
    parent.append(this.table, this.more, this.empty);
  }

  suggest(lines) {
    this.try = lines;
    this.drawEmpty();
  }

  show(list, totals) {
    this.list = list;
    this.totals = totals ?? {};
    this.sample();
    this.draw();
  }

  /** sample notes the rates once a second, as they are published. */
  sample() {
    const now = Math.floor(Date.now() / 1000);
    if (now === this.sampled) return;
    this.sampled = now;
    const here = new Map();
    for (const c of this.list) {
      const line = this.rates.get(c.id) ?? [];
      line.push(c["received-rate"] + c["sent-rate"]);
      if (line.length > span) line.shift();
      here.set(c.id, line);
    }
    this.rates = here;
  }

  draw() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (c) => [c.peer, c.at, c.target, c.family, c.type, c.identity, c.state, c.outcome, c.error, who(c), ...(c.layers ?? [])].join(" ").toLowerCase();
    const found = words.length === 0 ? [...this.list] : this.list.filter((c) => words.every((w) => text(c).includes(w)));
    found.sort(orders[this.order.value]);
    this.byId = new Map(found.map((c) => [c.id, c]));
    this.shown = found.slice(0, most).map((c) => c.id);
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    reconcile(this.body, this.shown, (id) => this.makeRow(id), (row, id) => this.drawRow(row, this.byId.get(id)));
    focused?.focus({ preventScroll: true }); // a row that moved has lost it
    this.rove();
    const open = this.list.filter((c) => c.state !== "ended").length;
    setText(this.counter, `${open} open, ${this.list.length - open} ended`);
    const left = [];
    if (found.length > most) left.push(`${found.length - most} more: filter to find them.`);
    if (words.length > 0 && found.length === 0) left.push("No connection has that.");
    if (this.totals.unlisted) left.push(`${this.totals.unlisted} found the list full and were only counted.`);
    setText(this.more, left.join(" "));
    this.more.hidden = left.length === 0;
    this.table.hidden = this.list.length === 0;
    this.drawEmpty();
  }

  drawEmpty() {
    this.empty.hidden = this.list.length > 0;
    const key = this.try.join("\n");
    if (this.empty.hidden || this.emptyFor === key) return;
    this.emptyFor = key;
    this.empty.replaceChildren(
      el("p", { class: "lead" }, "Nobody is connected."),
      ...(this.try.length > 0 ? [el("p", {}, "In another terminal, try:"), commands(this.try)] : [el("p", {}, "Connections appear here as they come.")]),
    );
  }

  makeRow(id) {
    const row = el("tr", { role: "row", tabindex: "-1" }, ...columns.map(([key]) => el(key === "peer" ? "th" : "td", { class: key, role: key === "peer" ? "rowheader" : "gridcell" })));
    row.addEventListener("click", () => {
      row.focus({ preventScroll: true });
      this.choose(id);
    });
    row.cells[0].append(el("span", { class: "mark", "aria-hidden": "true" }), el("span"));
    row.cells[1].append(el("code"), el("small"));
    row.cells[5].append(el("div", {}, spark(), el("span")));
    return row;
  }

  drawRow(row, c) {
    const [state, peer, family, received, sent, speed, old] = row.cells;
    const ended = c.state === "ended";
    row.dataset.state = ended ? c.outcome : c.state;
    row.classList.toggle("over", ended);
    row.setAttribute("aria-selected", String(c.id === this.chosen));
    setText(state.lastChild, ended ? c.outcome : c.state);
    state.title = c.error ?? "";
    setText(peer.firstChild, c.peer);
    setText(peer.lastChild, [c.target && `→\u00a0${c.target}`, [c.type, c.identity].filter(Boolean).join(" "), who(c)].filter(Boolean).join(" · "));
    peer.title = `${c.role === "accepted" ? "came in at" : "dialled at"} ${c.at}`;
    setText(family, [c.family, ...(c.layers ?? [])].join(", "));
    setText(received, bytes(c.received));
    setText(sent, bytes(c.sent));
    const line = this.rates.get(c.id) ?? [];
    const now = c["received-rate"] + c["sent-rate"];
    drawSpark(speed.firstChild.firstChild, line);
    setText(speed.firstChild.lastChild, ended || now < 1 ? "" : rate(now));
    this.drawAge(old, c);
  }

  drawAge(cell, c) {
    setText(cell, c.ended ? duration(Math.max(c.ended - c.since, 1)) : age(Date.now() - c.since));
    cell.title = `since ${clock(c.since)}${c.ended ? `, ended ${clock(c.ended)}` : ""}`;
  }

  /** tick lets ages grow between two changes. */
  tick() {
    for (const row of this.body.rows) {
      const c = this.byId?.get(Number(row.dataset.key));
      if (c && !c.ended) this.drawAge(row.cells[6], c);
    }
  }

  mark(id) {
    this.chosen = id;
    for (const row of this.body.rows) row.setAttribute("aria-selected", String(row.dataset.key === String(id)));
    this.rove();
  }

  /** rove lets the tab key reach one row: the chosen one, or the first. */
  rove() {
    const rows = [...this.body.rows];
    const stop = rows.find((r) => r === document.activeElement) ?? rows.find((r) => r.dataset.key === String(this.chosen)) ?? rows[0];
    for (const row of rows) row.tabIndex = row === stop ? 0 : -1;
  }

  chooseFirst() {
    if (this.shown.length > 0) this.choose(this.shown[0], false);
  }

  focus() {
    const rows = [...this.body.rows];
    const row = rows.find((r) => r.tabIndex === 0);
    (row ?? byId("connections")).focus();
  }

  walk(e) {
    const rows = [...this.body.rows];
    const at = rows.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[e.key];
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      if (at >= 0) this.choose(Number(rows[at].dataset.key));
    } else if (to !== undefined && rows.length > 0) {
      e.preventDefault();
      const row = rows[Math.max(0, Math.min(to, rows.length - 1))];
      row.focus();
      row.scrollIntoView({ block: "nearest" });
      this.choose(Number(row.dataset.key));
      this.rove();
    }
  }
}

const over = (c) => (c.state === "ended" ? 1 : 0);
const orders = {
  newest: (a, b) => over(a) - over(b) || b.id - a.id,
  oldest: (a, b) => over(a) - over(b) || a.id - b.id,
  busiest: (a, b) => over(a) - over(b) || b["received-rate"] + b["sent-rate"] - a["received-rate"] - a["sent-rate"] || b.id - a.id,
  largest: (a, b) => b.received + b.sent - a.received - a.sent || b.id - a.id,
};

/** who says whose the other end is, where the kernel told. */
function who(c) {
  if (!c.cred) return "";
  const words = [`uid ${c.cred.uid}`, `gid ${c.cred.gid}`];
  if (c.cred.pid) words.push(`pid ${c.cred.pid}${c.cred.program ? ` (${c.cred.program})` : ""}`);
  return words.join(" ");
}

const svg = "http://www.w3.org/2000/svg";

function spark() {
  const s = document.createElementNS(svg, "svg");
  s.setAttribute("viewBox", "0 0 80 20");
  s.setAttribute("aria-hidden", "true");
  s.append(document.createElementNS(svg, "polyline"));
  return s;
}

function drawSpark(s, values) {
  const top = Math.max(...values, 1);
  const points = values.map((v, i) => `${(80 - (values.length - 1 - i) * (80 / (span - 1))).toFixed(1)},${(19 - (v / top) * 17).toFixed(1)}`);
  s.firstChild.setAttribute("points", values.some((v) => v > 0) ? points.join(" ") : "");
}
