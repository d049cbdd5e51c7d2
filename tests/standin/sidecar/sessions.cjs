// HTTP/2 connections: their settings, their GOAWAYs, and the line to the node that each of them belongs to.
const http2 = require('http2')
const http = require('http')
const {relay} = require('./relay.cjs')

// As the database's HTTP library has it; the limits of Node.js against abuse are opened wide, they are not the subject.
const MAX_HEADER_LIST_BYTES = 16384
const WIDE = {maxSessionMemory: 4096, maxSessionInvalidFrames: 100000, maxSessionRejectedStreams: 100000,
  maxHeaderListPairs: 2000, maxSettings: 1000}

const GOAWAY = 7

const nodes = new Map()
const servers = new Map()
let arriving = null

/** What is shared by the connections of one node: {links, agent, report(object)}. */
const nodeOf = (inner) => {
  if (!nodes.has(inner)) {
    nodes.set(inner, {links: new Set(), agent: new http.Agent({keepAlive: true, maxFreeSockets: 16}), report() {}})
  }
  return nodes.get(inner)
}

/** Settings belong to a server object, so there is one for each set of them. */
const serverFor = (maxStreams, windowBytes) => {
  const key = `${maxStreams} ${windowBytes}`
  if (!servers.has(key)) {
    const server = http2.createServer({...WIDE, settings: {
      maxConcurrentStreams: maxStreams, initialWindowSize: windowBytes, maxHeaderListSize: MAX_HEADER_LIST_BYTES,
    }})
    server.on('session', (session) => begin(session, arriving, windowBytes))
    server.on('sessionError', () => {})
    servers.set(key, server)
  }
  return servers.get(key)
}

const openSession = (socket, facts) => {
  arriving = {...facts, socket}
  serverFor(facts.max_streams, facts.window_bytes).emit('connection', socket)
  arriving = null
}

const begin = (session, facts, windowBytes) => {
  const node = nodeOf(facts.inner)
  const link = {session, socket: facts.socket, open: new Set(), highest: 0, last: null}
  let count = 0
  session.setLocalWindowSize(windowBytes)
  // Node.js calls this when the client says GOAWAY. Its own close() ends the session with the last stream, and Node.js 18 does
  // that before the trailers of that stream are written.
  session.close = () => goaway(link, 0, link.highest)
  node.links.add(link)
  session.on('error', () => {})
  session.on('close', () => node.links.delete(link))
  session.on('stream', (stream, headers, flags, rawHeaders) => {
    count += 1
    link.highest = stream.id
    link.open.add(stream.id)
    stream.on('close', () => { link.open.delete(stream.id); endWhenDone(link) })
    if (count === facts.goaway_after_streams) goaway(link, 0, stream.id)
    relay({
      stream, headers, rawHeaders, facts, node, isComplete: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0,
      goaway: (when) => goaway(link, 0, when === 'before' ? Math.max(stream.id - 2, 0) : link.highest),
      cutConnection: () => facts.socket.destroy(),
    })
  })
}

/** Says that `last` is the last stream that is served, and closes when those up to it are done. Not with the session's
 *  own close(): that says GOAWAY once more, with a later stream, which is an error. */
const goaway = (link, code, last) => {
  if (link.last !== null || link.session.destroyed) return
  link.last = last
  if (last > 0 || link.highest === 0) link.session.goaway(code, last)
  else link.socket.write(goawayFrame(code))
  setImmediate(endWhenDone, link)
}

/** For the one case that Node.js cannot say: that not even the first stream is served. */
const goawayFrame = (code) => {
  const frame = Buffer.alloc(17)
  frame[2] = 8
  frame[3] = GOAWAY
  frame.writeUInt32BE(code, 13)
  return frame
}

const endWhenDone = (link) => {
  if (link.last === null || link.socket.destroyed) return
  for (const id of link.open) if (id <= link.last) return
  link.socket.end()
}

/** The node's commands, one JSON object a line. */
const openControl = (socket, inner, first) => {
  const node = nodeOf(inner)
  let text = first.toString()
  node.report = (object) => socket.writable && socket.write(JSON.stringify(object) + '\n')
  socket.on('data', (piece) => {
    text += piece
    const lines = text.split('\n')
    text = lines.pop()
    for (const line of lines) obey(node, JSON.parse(line))
  })
  socket.on('close', () => nodes.delete(inner))
}

const obey = (node, command) => {
  for (const link of node.links) goaway(link, command.goaway, link.highest)
}

module.exports = {openSession, openControl}
