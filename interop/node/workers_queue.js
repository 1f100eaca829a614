// workers_queue.js FRONT BACK
//
// Stands between clients and workers, none of whom need to know each other: listens for
// both, gives requests to the workers in turn, and takes each reply back to the client
// who asked.
"use strict"

const zmq = require("zeromq")

async function main(front, back) {
  const queue = new zmq.Proxy(new zmq.Router(), new zmq.Dealer())
  for (const [socket, endpoint] of [[queue.frontEnd, front], [queue.backEnd, back]]) {
    await socket.bind(endpoint)
    console.log("listening on", socket.lastEndpoint)
  }
  await queue.run()
}

if (process.argv.length !== 4) {
  console.error("usage: workers_queue.js FRONT BACK")
  process.exit(2)
}
main(...process.argv.slice(2))
