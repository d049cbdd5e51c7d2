// How a stream's answer goes out and ends: in order, or cut short at a byte because a fault asks for it.
//
// `exchange.cut` is {action, after_bytes, code}: after so many bytes of the body (null: behind the end) the stream is
// reset (rst_stream), goes silent (stall), or its connection is closed; whether that is a FIN or a RST the node decides.
const {NGHTTP2_NO_ERROR} = require('http2').constants

/** RST_STREAM and nothing else: close() would end the body in order first, and a cut answer would look whole. */
const reset = (stream, code) => {
  const handle = stream[Object.getOwnPropertySymbols(stream).find(({description}) => description === 'kHandle')]
  if (handle) handle.rstStream(code)
}

/** Ends the stream in order; a request that is still being sent is told that it need not. */
const finish = async (exchange) => {
  const {stream} = exchange
  exchange.end = 'completed'
  await new Promise((resolve) => {
    stream.once('close', resolve)
    if (stream.writableFinished) return resolve()
    stream.end(resolve)
  })
  if (exchange.cut && exchange.cut.after_bytes === null) carryOut(exchange)
  else if (!stream.readableEnded && !stream.destroyed && !exchange.isComplete && !exchange.inner.writableFinished) {
    stream.close(NGHTTP2_NO_ERROR)
  }
}

/** A function that writes pieces and waits until they have left; false when the cut came or nobody reads any more. */
const counted = (exchange) => {
  let sent = 0
  return async (piece) => {
    const {stream, cut} = exchange
    const room = cut && cut.after_bytes !== null ? cut.after_bytes - sent : Infinity
    const isLast = piece.length >= room
    const part = isLast ? piece.subarray(0, room) : piece
    sent += part.length
    await new Promise((resolve) => {
      if (stream.destroyed) return resolve()
      exchange.settle = resolve
      if (stream.write(part, () => isLast && resolve()) && !isLast) return resolve()
      if (!isLast) stream.once('drain', resolve)
    })
    if (isLast && !stream.destroyed) carryOut(exchange)
    return !isLast && !stream.destroyed
  }
}

const carryOut = (exchange) => {
  const {stream, cut} = exchange
  exchange.end = 'cut'
  if (cut.action === 'rst_stream') reset(stream, cut.code)
  else if (cut.action !== 'stall') exchange.cutConnection()
}

module.exports = {carryOut, counted, finish, reset}
