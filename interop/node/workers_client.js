// workers_client.js FRONT
//
// Sends each line of its input to a queue of workers and prints the reply, then goes on
// with the next. Exit 1 when no reply comes in 10 seconds.
"use strict"

const readline = require("node:readline")
const zmq = require("zeromq")

const PATIENCE_MS = 10000

async function main(front) {
  // At the end a request without an answer is not worth a wait.
  const req = new zmq.Request({receiveTimeout: PATIENCE_MS, linger: 0})
  req.connect(front)
  for await (const line of readline.createInterface({input: process.stdin})) {
    await req.send(line)
    const [reply] = await req.receive()
    console.log(reply.toString())
  }
  req.close()
}

if (process.argv.length !== 3) {
  console.error("usage: workers_client.js FRONT")
  process.exit(2)
}
main(process.argv[2]).catch(err => {
  console.error(`no reply: ${err.message}`)
  process.exit(1)
})
