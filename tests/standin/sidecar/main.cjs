// The HTTP/2 half of stand-in nodes: listens on a Unix socket (the argument) and ends when its standard input does.
//
// A node connects and says in one line of JSON what this connection is; http2.py has the other side of it.
//   {"control": INNER}   commands for all HTTP/2 connections of the node whose inner listener this is, and back the
//                        reports of how streams ended
//   {"inner": INNER, ...} a client's connection: what follows are the client's bytes
// sessions.cjs has the connections, relay.cjs the streams, flight.cjs what gRPC calls are made of.
const net = require('net')
const {openSession, openControl} = require('./sessions.cjs')

const greet = (socket) => {
  let head = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  const read = () => {
    for (let piece; (piece = socket.read()) !== null;) head = Buffer.concat([head, piece])
    const end = head.indexOf(10)
    if (end < 0) return
    socket.off('readable', read)
    const facts = JSON.parse(head.subarray(0, end))
    if (facts.control) return openControl(socket, facts.control, head.subarray(end + 1))
    if (end + 1 < head.length) socket.unshift(head.subarray(end + 1))
    openSession(socket, facts)
  }
  socket.on('readable', read)
}

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
net.createServer(greet).listen({path: process.argv[2], backlog: 1024}, () => process.stdout.write('listening\n'))
