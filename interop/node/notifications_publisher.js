// notifications_publisher.js ENDPOINT
//
// Tells any number of clients what is new. A line of its input is "TOPIC TEXT"; it goes
// out as a message of two parts, and only to those who subscribed to the topic.
//
// A client that comes late has missed what was said. So the last text of each topic is
// kept, and an XPublisher, which is a Publisher that sees subscriptions, says it again
// to a new one. Clients of the same topic then hear it twice.
"use strict"

const readline = require("node:readline")
const zmq = require("zeromq")

async function main(endpoint) {
  const xpub = new zmq.XPublisher()
  xpub.verbosity = "allSubs" // show every subscription, not each topic's first
  await xpub.bind(endpoint)
  console.log("listening on", xpub.lastEndpoint)

  const last = new Map()
  // A socket sends one message at a time: each waits for the one before it.
  let sending = Promise.resolve()
  const publish = (topic, text) => (sending = sending.then(() => xpub.send([topic, text])))

  async function welcome() {
    for await (const [event] of xpub) { // 1 and a prefix, or at its end 0
      if (event[0] !== 1) continue
      const prefix = event.subarray(1).toString()
      for (const [topic, text] of last) if (topic.startsWith(prefix)) publish(topic, text)
    }
  }
  const welcoming = welcome()
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [topic, ...words] = line.split(" ")
    const text = words.join(" ")
    last.set(topic, text)
    publish(topic, text)
  }
  await sending
  xpub.close()
  await welcoming
}

if (process.argv.length !== 3) {
  console.error("usage: notifications_publisher.js ENDPOINT")
  process.exit(2)
}
main(process.argv[2])
