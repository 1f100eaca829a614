// Puts the page together: one feed, and the parts that show it.

import { byId, el, reconcile, setText } from "./dom.js";
import { bytes, count, duration, rate } from "./format.js";
import { Feed } from "./feed.js";
import { Charts } from "./charts.js";
import { Connections } from "./connections.js";
import { Life } from "./life.js";
import { Sockets } from "./sockets.js";
import { Published } from "./published.js";

const words = { live: "live", connecting: "connecting", reconnecting: "connection lost, trying again", ended: "ended: open the URL that the command prints" };
let chosen = null; // the number of the connection whose life is shown
let everChose = false;

const life = new Life(byId("life-body"), byId("life-title"));
const connections = new Connections(byId("connections-body"), byId("connections-count"), choose);
const sockets = new Sockets(byId("sockets"), byId("sockets-body"), choose);
const charts = new Charts();
let published = null;

const feed = new Feed("/events", changed, (state) => {
  const e = byId("feed");
  e.dataset.state = state;
  setText(e, words[state]);
});

function changed(keys) {
  const has = (prefix) => [...keys].some((k) => k.startsWith(prefix));
  if (keys.has("about")) showAbout(feed.values.get("about"));
  if (has("listen.")) showEndpoints();
  if (keys.has("traffic")) {
    const sample = feed.values.get("traffic");
    if (sample) charts.add(sample);
  }
  if (keys.has("traffic") || keys.has("totals")) showFigures();
  if (has("conn.") || keys.has("totals")) {
    connections.show(feed.under("conn."), feed.values.get("totals"));
    if (!everChose && chosen === null) connections.chooseFirst();
  }
  if (has("socket.")) sockets.show(feed.under("socket."));
  if (chosen !== null && (has("life.") || keys.has(`conn.${chosen}`))) showLife();
}

/** choose shows the life of a connection, or of none. */
function choose(id, byHand = true) {
  everChose ||= byHand;
  if (id === chosen) return;
  chosen = id;
  connections.mark(id);
  byId("life-close").hidden = id === null;
  feed.open(id === null ? "/events" : `/events?life=${id}`);
  showLife();
  if (id !== null && byHand && narrow.matches) byId("life").scrollIntoView({ block: "start" });
}

const narrow = matchMedia("(max-width: 60rem)");

function showLife() {
  life.show(chosen === null ? null : feed.values.get(`life.${chosen}`), feed.values.get(`conn.${chosen}`));
}

function showAbout(about) {
  if (!about) return;
  setText(byId("verb"), about.verb);
  document.title = `tincan ${about.verb} on ${about.host}`;
  connections.suggest(about.try ?? []);
  if (about.state && !published) published = new Published(byId("published"), byId("published-body"));
}

function showEndpoints() {
  const list = feed.under("listen.").sort((a, b) => a.id - b.id);
  reconcile(byId("listening"), list.map((l) => l.id), () => el("li", {}, el("span"), el("code")), (li, id) => {
    const l = list.find((other) => other.id === id);
    setText(li.firstChild, l.service ?? "");
    setText(li.lastChild, l.url);
  });
}

/** showFigures shows the numbers above everything. */
function showFigures() {
  const totals = feed.values.get("totals") ?? {};
  const sample = feed.values.get("traffic") ?? {};
  const latency = charts.latest();
  const figures = [
    ["connections", "Connections", count(totals.open ?? 0), `${count(totals.connections ?? 0)} since the start`],
    ["received", "Received", rate(sample.received ?? 0), bytes(totals.received ?? 0)],
    ["sent", "Sent", rate(sample.sent ?? 0), bytes(totals.sent ?? 0)],
  ];
  if (totals["messages-received"] || totals["messages-sent"]) {
    figures.push(["messages", "Messages", `${count((sample["messages-received"] ?? 0) + (sample["messages-sent"] ?? 0))}/s`,
      `${count(totals["messages-received"])} in, ${count(totals["messages-sent"])} out`]);
  }
  figures.push(["latency", latency ? `Latency, ${latency.name}` : "Latency", latency ? duration(latency.p50) : "–", latency ? `99th percentile ${duration(latency.p99)}` : "nothing measured yet"]);
  figures.push(["trouble", "Failed, dropped", `${count(totals.failed ?? 0)}, ${count(totals.dropped ?? 0)}`, "connections, messages"]);
  reconcile(byId("figures"), figures.map((f) => f[0]), () => el("div", {}, el("dt"), el("dd", {}, el("strong"), el("small"))), (div, key) => {
    const [, name, value, note] = figures.find((f) => f[0] === key);
    div.dataset.kind = key;
    setText(div.firstChild, name);
    setText(div.lastChild.firstChild, value);
    setText(div.lastChild.lastChild, note);
    div.classList.toggle("bad", key === "trouble" && (totals.failed ?? 0) + (totals.dropped ?? 0) > 0);
  });
}

// Keys and buttons.

byId("life-close").addEventListener("click", () => leave());
byId("explain").addEventListener("change", (e) => byId("life").classList.toggle("plain", !e.target.checked));

function leave() {
  choose(null);
  connections.focus();
}

addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape") {
    if (e.target.type === "search" && e.target.value !== "") return; // the browser clears it
    leave();
  } else if (e.key === "/" && !(e.target instanceof HTMLInputElement)) {
    e.preventDefault();
    byId("filter").focus();
  }
});

const symbols = { system: "◐", light: "☀", dark: "☾" };
function showTheme(name) {
  setText(byId("theme"), symbols[name]);
  byId("theme").setAttribute("aria-label", `Colours: ${name === "system" ? "as the system" : name}`);
  byId("theme").title = byId("theme").getAttribute("aria-label");
}
byId("theme").addEventListener("click", () => {
  showTheme(window.tincanTheme.next());
  charts.restyle();
});
showTheme(window.tincanTheme.name());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.restyle());

showLife();
showFigures();
connections.show([], undefined);
charts.load();
setInterval(() => connections.tick(), 1000);
