// request_reply_client.js ENDPOINT INT...
//
// Asks for the sum of integers and prints "Result: N". Exit 1 when the reply is an error,
// or when none comes in 10 seconds.
"use strict"

const zmq = require("zeromq")

const PATIENCE_MS = 10000

async function main(endpoint, ...integers) {
  const req = new zmq.Request({receiveTimeout: PATIENCE_MS, linger: 0})
  req.connect(endpoint)
  await req.send(integers.join(" "))
  const [reply] = (await req.receive()).map(String)
  if (reply.startsWith("error: ")) throw new Error(reply)
  console.log("Result:", reply)
  req.close()
}

if (process.argv.length < 4) {
  console.error("usage: request_reply_client.js ENDPOINT INT...")
  process.exit(2)
}
main(...process.argv.slice(2)).catch(err => {
  console.error(err.message)
  process.exit(1)
})
