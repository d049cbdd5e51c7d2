// One gRPC call on a stream: length-prefixed messages, deadline, trailers. What the messages mean is in flight.cjs.
const {FIRST_MESSAGE, writerFor} = require('./flight.cjs')
const {finish} = require('./ending.cjs')

const INTERNAL = 13
const OUT_OF_RANGE = 11
const RESOURCE_EXHAUSTED = 8
const UNIMPLEMENTED = 12
const MAX_MESSAGE_BYTES = 4 << 20
const UNIT_MS = {H: 3600e3, M: 60e3, S: 1e3, m: 1, u: 1e-3, n: 1e-6}

const timeoutMs = (text) => {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text || '')
  return match ? match[1] * UNIT_MS[match[2]] : null
}

const percentEncoded = (text) => Array.from(Buffer.from(text), (byte) =>
  byte >= 0x20 && byte < 0x7f && byte !== 0x25 ? String.fromCharCode(byte)
    : '%' + byte.toString(16).toUpperCase().padStart(2, '0')).join('')

const framed = (message) => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

class Call {
  constructor(exchange) {
    this.exchange = exchange
    this.stream = exchange.stream
    this.method = exchange.headers[':path'].split('/').pop()
    this.trailers = null
    this.isOver = false
    const wait = timeoutMs(exchange.headers['grpc-timeout'])
    this.deadline = wait === null ? null
      : setTimeout(() => this.end(RESOURCE_EXHAUSTED, 'grpc-timeout elapsed'), Math.min(wait, 2 ** 31 - 1))
    this.stream.on('close', () => this.stop())
    this.stream.on('wantTrailers', () => this.stream.sendTrailers(this.trailers))
  }

  stop() {
    this.isOver = true
    clearTimeout(this.deadline)
    clearInterval(this.keepAlive)
  }

  /** Collects the first message and passes it on; a call has one, and later ones are read and forgotten. */
  readMessage() {
    let bytes = Buffer.alloc(0)
    let isRead = false
    const pass = (fields) => {
      isRead = true
      this.exchange.inner.end(JSON.stringify(fields))
    }
    this.stream.on('data', (piece) => {
      if (isRead) return
      bytes = Buffer.concat([bytes, piece])
      if (bytes.length < 5) return
      const length = bytes.readUInt32BE(1)
      if (bytes[0] !== 0) return this.end(UNIMPLEMENTED, 'compressed messages are not supported')
      if (length > MAX_MESSAGE_BYTES) {
        return this.end(OUT_OF_RANGE, `Error, decoded message length too large: found ${length} bytes`)
      }
      if (bytes.length >= length + 5) pass(this.understood(bytes.subarray(5, length + 5)))
    })
    this.stream.on('end', () => isRead || pass({malformed: 'Missing request message.'}))
  }

  understood(message) {
    const read = FIRST_MESSAGE[this.method]
    try {
      return read ? read(message) : {}
    } catch (error) {
      return {malformed: `failed to decode Protobuf message: ${error.message}`}
    }
  }

  /** The node's lines become messages. */
  async relayLines(answer) {
    let writer
    let last = null
    for await (const one of lines(answer)) {
      if (this.isOver) return
      if (one.error || one.end) last = one
      else if (one.metadata) this.begin(one.metadata)
      else {
        let messages
        try {
          writer = writer || writerFor(this.method)
          messages = writer(one)
        } catch (error) {
          return this.end(INTERNAL, `the stand-in cannot make this message: ${error.message}`)
        }
        for (const message of messages) if (!await this.send(message)) return
        if (one.columns) this.keepWarm(writer)
      }
    }
    if (last.error) this.end(last.error.code, last.error.message)
    else this.end(0, '', last.end)
  }

  begin(metadata) {
    if (!this.stream.headersSent) {
      this.stream.respond({':status': 200, 'content-type': 'application/grpc', ...metadata}, {waitForTrailers: true})
    }
  }

  async send(message) {
    this.begin({})
    this.sentAt = Date.now()
    return this.exchange.write(framed(message))
  }

  /** While there is nothing to send, an empty record batch now and then. */
  keepWarm(writer) {
    const every = this.exchange.facts.keep_alive_ms
    this.keepAlive = setInterval(() => {
      if (Date.now() - this.sentAt < every || this.stream.writableNeedDrain || this.stream.destroyed) return
      for (const message of writer({rows: 0, values: null})) this.send(message)
    }, every)
    this.keepAlive.unref()
  }

  /** grpc-status and what else the trailers say; without a message before it in the headers themselves. */
  end(code, message, extra = {}) {
    if (this.isOver || this.stream.destroyed) return
    this.stop()
    const status = {'grpc-status': String(code), ...(message ? {'grpc-message': percentEncoded(message)} : {}), ...extra}
    this.exchange.grpcStatus = code
    if (!this.stream.headersSent && code !== 0) {
      this.stream.respond({':status': 200, 'content-type': 'application/grpc', ...status}, {endStream: true})
    } else {
      this.trailers = status
      this.begin({})
      this.stream.end()
    }
    finish(this.exchange)
  }
}

/** The JSON values of an answer, one a line. */
async function* lines(answer) {
  let parts = []
  for await (const piece of answer) {
    let from = 0
    for (let to; (to = piece.indexOf(10, from)) >= 0; from = to + 1) {
      yield JSON.parse(Buffer.concat([...parts, piece.subarray(from, to)]))
      parts = []
    }
    parts.push(piece.subarray(from))
  }
}

module.exports = {Call}
