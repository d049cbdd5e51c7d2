// One stream: made into a request to the node's inner listener, and the answer relayed back, cut short where the node
// asks for that. A client that cancels ends the inner request, which the node sees as a client that has left.
const http = require('http')
const {constants} = require('http2')
const {Call} = require('./call.cjs')
const {carryOut, counted, finish, reset} = require('./ending.cjs')

const {NGHTTP2_INTERNAL_ERROR, NGHTTP2_PROTOCOL_ERROR} = constants
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection', 'upgrade'])
const isOwn = (name) => name.startsWith('x-standin-')

let streams = 0

/** Serves one stream; `one` is what sessions.cjs knows of it. */
const relay = (one) => {
  const {stream, headers, node} = one
  const isGrpc = (headers['content-type'] || '').startsWith('application/grpc')
  const key = String(++streams)
  let inner
  if (headers[':method'] === 'CONNECT') return stream.close(NGHTTP2_PROTOCOL_ERROR)
  try {
    inner = http.request({
      socketPath: one.facts.inner, agent: node.agent, method: headers[':method'], path: headers[':path'],
      headers: innerHeaders(one, isGrpc, key),
    })
  } catch {
    return stream.close(NGHTTP2_PROTOCOL_ERROR)
  }
  const exchange = {...one, inner, cut: null, end: null, grpcStatus: undefined, settle() {}, write: null}
  const call = isGrpc ? new Call(exchange) : null
  stream.on('error', () => {})
  inner.on('error', () => fail(exchange))
  inner.on('information', ({statusCode}) =>
    stream.destroyed || stream.headersSent || stream.additionalHeaders({':status': statusCode}))
  inner.on('response', (answer) => relayAnswer(exchange, call, answer).catch(() => fail(exchange)))
  stream.on('close', () => {
    inner.destroy()
    exchange.settle()
    const end = exchange.end || 'cancelled'
    node.report({stream: key, end, ...(exchange.grpcStatus === undefined ? {} : {grpc_status: exchange.grpcStatus})})
  })
  inner.flushHeaders()
  if (call) return call.readMessage()
  if (one.isComplete) return inner.end()
  stream.pipe(inner)
}

const innerHeaders = ({rawHeaders, headers, isComplete, facts}, isGrpc, key) => {
  const out = ['x-standin-connection', String(facts.connection), 'x-standin-stream', key]
  if (isGrpc) out.push('x-standin-grpc', '1')
  if (headers[':authority'] !== undefined && headers.host === undefined) out.push('host', headers[':authority'])
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index].toLowerCase()
    const isFraming = CONNECTION_HEADERS.has(name) || (isGrpc && name === 'content-length')
    if (!name.startsWith(':') && !isOwn(name) && !isFraming) out.push(name, rawHeaders[index + 1])
  }
  if (isGrpc || (!isComplete && headers['content-length'] === undefined)) out.push('transfer-encoding', 'chunked')
  else if (isComplete && headers['content-length'] === undefined && headers[':method'] !== 'GET') {
    out.push('content-length', '0')
  }
  return out
}

/** The node broke off: so does the stream. */
const fail = (exchange) => {
  if (exchange.stream.destroyed || exchange.end) return
  exchange.end = 'cut'
  reset(exchange.stream, NGHTTP2_INTERNAL_ERROR)
}

const relayAnswer = async (exchange, call, answer) => {
  const {stream} = exchange
  exchange.cut = JSON.parse(answer.headers['x-standin-cut'] || 'null')
  if (answer.headers['x-standin-goaway'] === 'before') {
    exchange.end = 'cut'
    return exchange.goaway('before')
  }
  if (answer.headers['x-standin-goaway'] === 'after') exchange.goaway('after')
  if (exchange.cut && exchange.cut.after_bytes === 0) return carryOut(exchange)
  exchange.write = counted(exchange)
  if (call && answer.headers['x-standin-flight']) return call.relayLines(answer)
  const hasBody = answer.statusCode !== 204 && exchange.headers[':method'] !== 'HEAD'
  stream.respond({':status': answer.statusCode, ...outerHeaders(answer.rawHeaders)}, {endStream: !hasBody})
  if (hasBody) {
    for await (const piece of answer) if (!await exchange.write(piece)) return
  } else answer.resume()
  await finish(exchange)
}

const outerHeaders = (raw) => {
  const out = {}
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index].toLowerCase()
    if (CONNECTION_HEADERS.has(name) || isOwn(name)) continue
    out[name] = name in out ? [].concat(out[name], raw[index + 1]) : raw[index + 1]
  }
  return out
}

module.exports = {relay}
