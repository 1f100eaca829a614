// pipeline_producer.js ENDPOINT
//
// Sends each line of its input as one message to whoever collects them. Any number of
// producers may do so; while the consumer is away or slow, they wait.
"use strict"

const readline = require("node:readline")
const zmq = require("zeromq")

async function main(endpoint) {
  const push = new zmq.Push()
  push.connect(endpoint)
  for await (const line of readline.createInterface({input: process.stdin})) await push.send(line)
  push.close() // the process ends when the last message is sent
}

if (process.argv.length !== 3) {
  console.error("usage: pipeline_producer.js ENDPOINT")
  process.exit(2)
}
main(process.argv[2])
