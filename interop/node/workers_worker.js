// workers_worker.js BACK
//
// Does the work that a queue hands out: puts a text in capitals. It prints what it has
// done, a line each. Start as many as there is work for.
"use strict"

const zmq = require("zeromq")

async function main(back) {
  const rep = new zmq.Reply()
  rep.connect(back)
  for await (const [request] of rep) {
    const text = request.toString().toUpperCase()
    console.log(text)
    await rep.send(text)
  }
}

if (process.argv.length !== 3) {
  console.error("usage: workers_worker.js BACK")
  process.exit(2)
}
main(process.argv[2])
