// notifications_subscriber.js ENDPOINT [TOPIC...]
//
// Prints notifications as they come, a line "TOPIC TEXT" each: those whose topic begins
// with one of the words given, or all. The publisher may come later, or go away and come
// back.
"use strict"

const zmq = require("zeromq")

async function main(endpoint, ...topics) {
  const sub = new zmq.Subscriber()
  sub.subscribe(...topics) // with none, to all
  sub.connect(endpoint)
  for await (const [topic, text] of sub) console.log(`${topic} ${text}`)
}

if (process.argv.length < 3) {
  console.error("usage: notifications_subscriber.js ENDPOINT [TOPIC...]")
  process.exit(2)
}
main(...process.argv.slice(2))
