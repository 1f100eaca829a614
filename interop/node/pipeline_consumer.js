// pipeline_consumer.js ENDPOINT
//
// Collects what any number of producers send, and prints each message as a line. It
// takes from them in turn, so that a busy producer doesn't hold up the others.
"use strict"

const zmq = require("zeromq")

async function main(endpoint) {
  const pull = new zmq.Pull()
  await pull.bind(endpoint)
  console.log("listening on", pull.lastEndpoint)
  for await (const [text] of pull) console.log(text.toString())
}

if (process.argv.length !== 3) {
  console.error("usage: pipeline_consumer.js ENDPOINT")
  process.exit(2)
}
main(process.argv[2])
