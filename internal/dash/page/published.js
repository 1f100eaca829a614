// The state that the command publishes: notify's, or sysinfo's.

import { byId, el, reconcile, setText } from "./dom.js";
import { age } from "./format.js";
import { Feed } from "./feed.js";

const most = 500; // keys that are shown: more are found by filtering

export class Published {
  constructor(section, parent) {
    section.hidden = false;
    this.changes = new Map(); // when each key was last seen to change
    this.body = el("tbody");
    this.table = el("table", {}, el("thead", {}, el("tr", {}, ...["Key", "Value", "Changed"].map((c) => el("th", { scope: "col" }, c)))), this.body);
    this.more = el("p", { class: "caption" });
    this.empty = el("div", { class: "empty" }, el("p", { class: "lead" }, "The state is empty."),
      el("p", {}, "Of notify, changes come in on standard input: key=value, a line each."));
    parent.append(el("div", { class: "scroll" }, this.table), this.more, this.empty);
    this.filter = byId("published-filter");
    this.filter.addEventListener("input", () => this.draw());
    this.first = true;
    this.feed = new Feed("/published/events", (keys) => this.changed(keys), () => {});
    setInterval(() => this.drawAges(), 1000);
  }

  changed(keys) {
    const now = Date.now();
    for (const key of keys) {
      if (this.feed.values.has(key)) this.changes.set(key, this.first ? 0 : now);
      else this.changes.delete(key);
    }
    this.first = false;
    this.draw(keys);
  }

  draw(fresh = new Set()) {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...this.feed.values.keys()].filter((k) => words.every((w) => k.toLowerCase().includes(w)))
      .sort(new Intl.Collator("en", { numeric: true }).compare);
    reconcile(this.body, found.slice(0, most), () => el("tr", {}, el("th", { scope: "row" }, el("code")), el("td", { class: "value" }), el("td", { class: "age" })), (row, key) => {
      setText(row.cells[0].firstChild, key);
      const text = write(this.feed.values.get(key));
      if (fresh.has(key) && row.cells[1].textContent !== "" && row.cells[1].textContent !== text) flash(row);
      setText(row.cells[1], text);
    });
    this.drawAges();
    setText(byId("published-count"), `${this.feed.values.size} keys`);
    setText(this.more, found.length > most ? `${found.length - most} more: filter to find them.` : "");
    this.more.hidden = found.length <= most;
    this.empty.hidden = this.feed.values.size > 0;
    this.table.hidden = this.feed.values.size === 0;
  }

  drawAges() {
    const now = Date.now();
    for (const row of this.body.rows) {
      const at = this.changes.get(row.dataset.key);
      setText(row.cells[2], at ? `${age(now - at)} ago` : "");
    }
  }
}

/** write shows a value: text as it is, numbers with few digits, all else as JSON. */
function write(value) {
  if (typeof value === "string") return value;
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return JSON.stringify(value);
}

/** flash shows that a row has changed. */
function flash(row) {
  row.classList.remove("changed");
  void row.offsetWidth; // so that the animation begins again
  row.classList.add("changed");
}
