// matrix_party.js TYPE listen|dial ENDPOINT [OPTION VALUE]...
//
// One side of any conversation between two ZeroMQ sockets, for the matrix test, with
// the same words in every language:
//
//   TYPE: req rep dealer router pub sub xpub xsub push pull pair
//   count N      messages; then it prints "done", and leaves when its input ends
//   sizes A,B    bytes of a part; parts P: parts in a message; seed S
//   answer yes   dealer and pair: return what comes, as rep and router do
//   to ID        router: ask that peer rather than answer
//   delimiter yes   dealer, router: an empty part before each message
//   identity ID, topic T
//   plain-server USER:PASSWORD, plain-client USER:PASSWORD
//   curve-server SECRET,CLIENTS-PUBLIC, curve-client SERVERS-PUBLIC,PUBLIC,SECRET
//
// Part p of message i has sizes[(i+p) mod n] bytes, the k-th of which is
// (seed + 31i + 7p + k) mod 251. Who asks or receives checks every byte of every
// message, in order. A pub sends TOPIC? again and again until its input says that a
// subscriber has seen one.
"use strict"

const {once} = require("node:events")
const {setTimeout: sleep} = require("node:timers/promises")
const zmq = require("zeromq")
const {allow, z85Decode} = require("./zap.js")

const PERIOD = 251
const PROBE_MS = 20
const LINGER_MS = 10000

const classes = {
  req: zmq.Request, rep: zmq.Reply, dealer: zmq.Dealer, router: zmq.Router,
  pub: zmq.Publisher, sub: zmq.Subscriber, xpub: zmq.XPublisher, xsub: zmq.XSubscriber,
  push: zmq.Push, pull: zmq.Pull, pair: zmq.Pair,
}

class Party {
  constructor(type, socket, options) {
    this.type = type
    this.socket = socket
    this.count = Number(options.count ?? 1)
    this.parts = Number(options.parts ?? 1)
    this.seed = Number(options.seed ?? 0)
    this.sizes = (options.sizes ?? "5").split(",").map(Number)
    this.to = options.to
    this.topic = options.topic ?? ""
    this.delimiter = options.delimiter
    this.answers = options.answer || type === "rep" || (type === "router" && !options.to)
    this.pattern = Buffer.alloc(Math.max(...this.sizes) + PERIOD, Buffer.from([...Array(PERIOD).keys()]))
  }

  // message returns the parts of message i as they go into the socket, and come out of it.
  message(i) {
    const parts = []
    for (let p = 0; p < this.parts; p++) {
      const start = (this.seed + 31 * i + 7 * p) % PERIOD
      parts.push(this.pattern.subarray(start, start + this.sizes[(i + p) % this.sizes.length]))
    }
    if (this.topic) parts[0] = Buffer.concat([Buffer.from(this.topic), parts[0]])
    if (this.delimiter) parts.unshift(Buffer.alloc(0))
    if (this.to) parts.unshift(Buffer.from(this.to))
    return parts
  }

  async send(i) {
    for (;;) {
      try {
        return await this.socket.send(this.message(i))
      } catch (err) {
        if (err.code !== "EHOSTUNREACH") throw err
        await sleep(PROBE_MS) // a router knows no way to that peer yet
      }
    }
  }

  async sendAll() {
    for (let i = 0; i < this.count; i++) {
      if (this.topic) await this.socket.send("~other") // what nobody has subscribed to
      await this.send(i)
    }
  }

  check(i, got) {
    const want = this.message(i)
    if (got.length !== want.length || !got.every((part, p) => part.equals(want[p]))) {
      const lengths = parts => parts.map(part => part.length)
      throw new Error(`message ${i}: lengths ${lengths(got)}, want ${lengths(want)}, or another content`)
    }
  }

  async receiveAll(probes) {
    for (let i = 0; i < this.count; ) {
      const got = await this.socket.receive()
      if (probes && got.length === 1 && got[0].equals(Buffer.from(this.topic + "?"))) {
        if (i === 0) console.log("subscribed")
        continue
      }
      this.check(i++, got)
    }
  }

  // ask sends every message and wants each back. A req takes turns.
  async ask() {
    for (let i = 0; i < this.count; i++) {
      await this.send(i)
      if (this.type === "req") this.check(i, await this.socket.receive())
    }
    if (this.type !== "req") await this.receiveAll(false)
  }

  async answer() {
    for (let i = 0; i < this.count; i++) await this.socket.send(await this.socket.receive())
  }

  async probe() {
    let told = false
    process.stdin.once("data", () => (told = true))
    while (!told) {
      await this.socket.send(this.topic + "?")
      await sleep(PROBE_MS)
    }
  }

  async converse() {
    const subscription = "\x01" + this.topic
    switch (this.type) {
      case "push":
        return this.sendAll()
      case "pub":
        await this.probe()
        return this.sendAll()
      case "xpub": {
        const [got] = await this.socket.receive()
        if (got.toString() !== subscription) throw new Error(`not the subscription: ${got}`)
        return this.sendAll()
      }
      case "pull":
        return this.receiveAll(false)
      case "sub":
        this.socket.subscribe(this.topic)
        return this.receiveAll(true)
      case "xsub":
        await this.socket.send(subscription)
        return this.receiveAll(true)
      default:
        return this.answers ? this.answer() : this.ask()
    }
  }
}

// secure sets the mechanism of a socket. A server lets in one client alone: what it
// returns then asks who a client is, and is to be closed.
async function secure(socket, options) {
  const split = (name, separator) => {
    const words = options[name].split(separator)
    return [words[0], words.slice(1).join(separator)]
  }
  if (options["plain-server"]) {
    socket.plainServer = true
    return allow("PLAIN", split("plain-server", ":").map(word => Buffer.from(word)))
  }
  if (options["plain-client"]) {
    [socket.plainUsername, socket.plainPassword] = split("plain-client", ":")
  }
  if (options["curve-server"]) {
    const [secret, client] = split("curve-server", ",")
    socket.curveServer = true
    socket.curveSecretKey = secret
    return allow("CURVE", [z85Decode(client)])
  }
  if (options["curve-client"]) {
    [socket.curveServerKey, socket.curvePublicKey, socket.curveSecretKey] = options["curve-client"].split(",")
  }
}

async function main([type, side, endpoint, ...words]) {
  const options = {}
  for (let i = 0; i < words.length; i += 2) options[words[i]] = words[i + 1]
  const socket = new classes[type]({linger: LINGER_MS})
  const handler = await secure(socket, options)
  if (options.identity) socket.routingId = options.identity
  if (options.to) socket.mandatory = true
  if (side === "listen") {
    await socket.bind(endpoint)
    console.log("listening on", socket.lastEndpoint)
  } else {
    socket.connect(endpoint)
  }
  await new Party(type, socket, options).converse()
  console.log("done")
  process.stdin.resume()
  if (!process.stdin.readableEnded) await once(process.stdin, "end")
  socket.close() // and what it holds is sent before the process ends
  handler?.close()
}

if (process.argv.length < 5 || process.argv.length % 2 === 0) {
  console.error("usage: matrix_party.js TYPE listen|dial ENDPOINT [OPTION VALUE]...")
  process.exit(2)
}
main(process.argv.slice(2)).catch(err => {
  console.error(err)
  process.exit(1)
})
