// Looks at the dashboard with Chromium, and uses it as people do. It exits with 1 at the first thing that is wrong.
//
//   node page.js DASHBOARD-URL SERVER-PORT [PICTURES]
//
// The server is the relay of echo that the dashboard shows. With PICTURES, a folder, it leaves pictures there.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { once } = require("node:events");
const { chromium } = require("playwright-core");

const [url, port, pictures] = process.argv.slice(2);
const base = new URL(url).origin;
const patience = 20_000; // milliseconds; it is met only when something is broken

const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** ask sends a request that no browser would, and gives its status. */
function ask(target, headers) {
  return new Promise((resolve, reject) => {
    http.get(base + target, { headers, timeout: patience }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on("error", reject);
  });
}

async function refusesStrangers(cookie) {
  const right = { cookie: `${cookie.name}=${cookie.value}` };
  assert.equal(await ask("/", right), 200, "the cookie");
  assert.equal(await ask("/", {}), 403, "no token");
  assert.equal(await ask("/events", {}), 403, "no token, of the events");
  assert.equal(await ask("/?token=wrong", {}), 403, "a wrong token");
  assert.equal(await ask("/", { ...right, cookie: `${cookie.name}=wrong` }), 403, "a wrong cookie");
  assert.equal(await ask("/", { ...right, host: "rebound.example" }), 403, "a wrong Host");
  assert.equal(await ask("/events", { ...right, origin: "https://evil.example" }), 403, "a wrong Origin");
}

/** client opens a connection to the server. */
async function client() {
  const c = net.connect({ host: "127.0.0.1", port: Number(port), allowHalfOpen: true });
  await once(c, "connect");
  c.on("error", () => {}); // of the one that is reset
  return c;
}

/** say sends text and waits until it has come back. */
async function say(c, text) {
  c.write(text);
  let got = "";
  while (got.length < text.length) got += (await once(c, "data"))[0];
  assert.equal(got, text);
}

/** steps are the kinds of those that the diagram shows, with the system calls. */
const steps = (page) => page.$$eval("#life-body li.step", (list) => list.map((li) => {
  const call = li.querySelector(".call").textContent;
  return `${li.classList[1]} ${li.classList[2]} ${call}`;
}));

async function until(what, f) {
  const deadline = Date.now() + patience;
  for (let last; ;) {
    last = await f();
    if (last === true) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function showsAConnection(page) {
  assert.match(await page.textContent("#connections .empty"), /Nobody is connected.*tincan connect/s);
  const c = await client();
  const peer = `127.0.0.1:${c.localPort}`;
  const row = page.locator("#connections tbody tr", { hasText: peer });
  await row.waitFor({ timeout: patience });
  await say(c, "this is a test");
  await row.click();
  await until("bytes", async () => (await row.textContent()).includes("14 B") || row.textContent());
  assert.equal(await row.getAttribute("aria-selected"), "true");
  c.end();
  c.resume();
  await once(c, "end");
  await until("its end", async () => (await row.textContent()).startsWith("closed") || row.textContent());
  await until("its life", async () => {
    const got = await steps(page);
    return got.at(-1)?.startsWith("close ") || got;
  });
  assert.deepEqual(await steps(page), [
    "accept in accept(2)", "socket self socket(2)", "connect out connect(2)", "connected in connect(2)",
    "receive in read(2), write(2)", "send out read(2), write(2)",
    "half-close in read(2) = 0", "half-close out shutdown(2)", "half-close in read(2) = 0", "half-close out shutdown(2)",
    "close out close(2)",
  ]);
  assert.match(await page.textContent("#life-title"), new RegExp(peer));
}

async function showsAReset(page) {
  const c = await client();
  const peer = `127.0.0.1:${c.localPort}`;
  await say(c, "half a requ");
  c.resetAndDestroy();
  const row = page.locator("#connections tbody tr", { hasText: peer });
  await until("the reset", async () => (await row.textContent()).startsWith("reset") || row.textContent());
  await row.click();
  await until("its last step", async () => {
    const got = await steps(page);
    return got.at(-1) === "reset in read(2) or write(2)" || got;
  });
}

/** movesTheChart keeps bytes passing until the chart has drawn some, and compares its pixels before and after. */
async function movesTheChart(page) {
  const c = await client();
  c.resume();
  const pixels = () => page.$eval("#throughput canvas", (canvas) => canvas.toDataURL());
  const before = await pixels();
  const label = () => page.getAttribute("#throughput", "aria-label");
  await until("the rate in the chart's label", async () => {
    c.write(Buffer.alloc(32 << 10));
    const text = await label();
    return /received [0-9.]+ (KiB|MiB)\/s/.test(text) || text;
  });
  await until("the chart moves", async () => (await pixels()) !== before);
  await until("the latency", async () => /^[0-9.]+ (µs|ms|s)$/.test(await page.textContent("#figures [data-kind=latency] strong")));
  c.end();
  await once(c, "end");
}

async function isUsedByKeys(page) {
  await page.keyboard.press("Escape");
  await until("no choice", async () => (await page.textContent("#life-title")) === "Life of a connection");
  assert.ok(await page.evaluate(() => document.activeElement.matches("#connections tbody tr")), "the list has the focus");
  await page.keyboard.press("Home");
  await until("the first one", async () => (await page.textContent("#life-title")).includes("127.0.0.1"));
  const first = await page.textContent("#life-title");
  await page.keyboard.press("ArrowDown");
  await until("the next one", async () => (await page.textContent("#life-title")) !== first);
  await page.keyboard.press("ArrowUp");
  await until("the first again", async () => (await page.textContent("#life-title")) === first);
  await page.keyboard.press("/");
  await page.keyboard.type("reset");
  await until("the filter", async () => (await page.locator("#connections tbody tr").count()) === 1);
  await page.fill("#filter", "");
}

async function fitsAPhone(page) {
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page is ${wide} pixels too wide for a phone`);
  await page.setViewportSize({ width: 1280, height: 900 });
}

async function changesColours(page) {
  const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await colour();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await colour();
  assert.notEqual(dark, light, "dark is as light");
  await page.click("#theme"); // from the system's to light
  assert.equal(await colour(), light);
  await page.click("#theme");
  assert.equal(await colour(), dark);
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tincan-chromium-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: "/usr/bin/chromium", args: flags, viewport: { width: 1280, height: 900 }, colorScheme: "light",
  });
  try {
    const page = await context.newPage();
    const wrong = [];
    page.on("console", (m) => { if (m.type() !== "log") wrong.push(`${m.type()}: ${m.text()}`); });
    page.on("pageerror", (e) => wrong.push(String(e)));
    page.on("requestfailed", (r) => { if (!r.url().includes("/events")) wrong.push(`${r.url()}: ${r.failure().errorText}`); });
    await page.goto(url, { waitUntil: "load" });
    assert.equal(page.url(), `${base}/`, "the token stays in the address bar");
    await page.locator("#feed[data-state=live]").waitFor({ timeout: patience });
    assert.match(await page.title(), /^tincan relay/);
    const [cookie] = await context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));

    await refusesStrangers(cookie);
    await showsAConnection(page);
    await showsAReset(page);
    await movesTheChart(page);
    await isUsedByKeys(page);
    await fitsAPhone(page);
    if (pictures) await page.screenshot({ path: path.join(pictures, "light.png") });
    await changesColours(page);
    if (pictures) await page.screenshot({ path: path.join(pictures, "dark.png") });
    assert.deepEqual(wrong, [], "the page complained");
  } finally {
    await context.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main().then(() => console.log("ok"), (e) => {
  console.error(e);
  process.exit(1); // whatever is still open
});
