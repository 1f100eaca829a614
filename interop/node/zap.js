// Who may connect to a PLAIN or CURVE server. libzmq asks a ZAP handler
// (rfc.zeromq.org 27/ZAP), a REP socket in the same context: allow starts one that
// lets in one client and nobody else. Close what it returns, when all is done.
"use strict"

const zmq = require("zeromq")

async function allow(mechanism, credentials) {
  const handler = new zmq.Reply({linger: 0})
  await handler.bind("inproc://zeromq.zap.01")
  decide(handler, mechanism, credentials).catch(console.error)
  return handler
}

async function decide(handler, mechanism, credentials) {
  // The frames between are the domain, the address and the identity.
  for await (const [version, id, , , , asked, ...given] of handler) {
    const same = asked.toString() === mechanism && given.length === credentials.length &&
      given.every((value, i) => value.equals(credentials[i]))
    await handler.send([version, id, same ? "200" : "400", same ? "OK" : "no", "", ""])
  }
}

const Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// z85Decode reads a key as text (rfc.zeromq.org 32/Z85): five digits are four bytes.
function z85Decode(text) {
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let i = 0; i < text.length; i += 5) {
    const digits = [...text.slice(i, i + 5)]
    bytes.writeUInt32BE(digits.reduce((n, digit) => n * 85 + Z85.indexOf(digit), 0), (i / 5) * 4)
  }
  return bytes
}

module.exports = {allow, z85Decode}
