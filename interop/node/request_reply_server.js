// request_reply_server.js ENDPOINT
//
// Answers a request of integers in decimal, "1 2 3", by their sum, "6", and any other by
// a text that begins with "error: ".
"use strict"

const zmq = require("zeromq")

function answer(request) {
  let total = 0n
  for (const word of request.split(" ").filter(Boolean)) {
    if (!/^[+-]?[0-9]+$/.test(word)) return `error: not an integer: ${word}`
    total += word.startsWith("-") ? -BigInt(word.slice(1)) : BigInt(word.replace("+", ""))
  }
  // What every language here can hold.
  return BigInt.asIntN(64, total) === total ? total.toString() : "error: too large"
}

async function main(endpoint) {
  const rep = new zmq.Reply()
  await rep.bind(endpoint)
  console.log("listening on", rep.lastEndpoint)
  for await (const [request] of rep) await rep.send(answer(request.toString()))
}

if (process.argv.length !== 3) {
  console.error("usage: request_reply_server.js ENDPOINT")
  process.exit(2)
}
main(process.argv[2])
