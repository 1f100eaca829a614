// The message sockets: what each is, its queues and its peers.

import { el, reconcile, setText } from "./dom.js";
import { bytes, count } from "./format.js";

const figures = [
  ["peers", "peers", (s) => count(s.peers)],
  ["received", "received", (s) => `${count(s.received)} · ${count(s["received-rate"])}/s`],
  ["sent", "sent", (s) => `${count(s.sent)} · ${count(s["sent-rate"])}/s`],
  ["queued", "wait to be sent", (s) => count(s.queued)],
  ["waiting", "wait to be read", (s) => count(s.waiting)],
  ["bytes", "bytes in, out", (s) => `${bytes(s["received-bytes"])}, ${bytes(s["sent-bytes"])}`],
  ["dropped", "dropped", (s) => count(s.dropped)],
  ["unroutable", "unroutable", (s) => count(s.unroutable)],
  ["refused", "refused", (s) => count(s.refused + s["handshakes-failed"])],
];
const faults = new Set(["dropped", "unroutable", "refused"]);

const columns = ["peer", "type", "identity", "security", "received", "sent", "to send", "to read", "dropped"];

export class Sockets {
  constructor(section, parent, choose) {
    this.section = section;
    this.parent = parent;
    this.choose = choose;
  }

  show(list) {
    this.section.hidden = list.length === 0;
    const byId = new Map(list.map((s) => [s.id, s]));
    reconcile(this.parent, list.map((s) => s.id).sort((a, b) => a - b), () => this.make(), (article, id) => this.draw(article, byId.get(id)));
  }

  make() {
    return el("article", { class: "socket" },
      el("h3", {}, el("span", { class: "badge" }), el("span", { class: "at" })),
      el("dl", {}),
      el("p", { class: "caption trouble", hidden: true }),
      el("div", { class: "scroll" }, el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col" }, c)))), el("tbody"))),
      el("p", { class: "caption none" }));
  }

  draw(article, s) {
    const [title, dl, trouble, scroll, none] = article.children;
    setText(title.firstChild, s.type);
    setText(title.lastChild, s.endpoints.join("  "));
    const shown = figures.filter(([key]) => !faults.has(key) || (key === "refused" ? s.refused + s["handshakes-failed"] : s[key]) > 0 || key === "dropped");
    reconcile(dl, shown.map(([key]) => key), () => el("div", {}, el("dt"), el("dd")), (div, key) => {
      const [, name, write] = figures.find(([k]) => k === key);
      setText(div.firstChild, name);
      setText(div.lastChild, write(s));
      div.classList.toggle("bad", faults.has(key) && write(s) !== "0");
    });
    trouble.hidden = !s["last-drop"];
    setText(trouble, s["last-drop"] ? `Last: ${s["last-drop"]}` : "");
    scroll.hidden = s.list.length === 0;
    setText(none, s.list.length === 0 ? "No peer is here yet: a socket that is dialled is tried until it answers." : s.peers > s.list.length ? `and ${s.peers - s.list.length} more` : "");
    none.hidden = none.textContent === "";
    const peers = new Map(s.list.map((p) => [p.id, p]));
    reconcile(scroll.querySelector("tbody"), [...peers.keys()], () => this.makePeer(), (row, id) => this.drawPeer(row, peers.get(id)));
  }

  makePeer() {
    const button = el("button", { type: "button", class: "link" });
    const row = el("tr", {}, el("th", { scope: "row" }, button), ...columns.slice(1).map(() => el("td")));
    button.addEventListener("click", () => {
      if (row.dataset.conn) this.choose(Number(row.dataset.conn));
    });
    return row;
  }

  drawPeer(row, p) {
    row.dataset.conn = p.conn ?? "";
    const values = [null, p.type, p.identity ?? "", p.security ?? "", count(p.received), count(p.sent), count(p.queued), count(p.waiting), count(p.dropped)];
    setText(row.cells[0].firstChild, p.dialled ? `→ ${p.address}` : p.address);
    row.cells[0].firstChild.disabled = !p.conn;
    for (let i = 1; i < values.length; i++) setText(row.cells[i], values[i]);
    row.cells[8].classList.toggle("bad", p.dropped > 0);
  }
}
