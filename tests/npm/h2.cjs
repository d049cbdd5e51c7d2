// An HTTP/2 client that tells everything: requests on one connection, the outcome as one JSON value.
//   echo '{"url": "http://127.0.0.1:8181", "requests": [{"method": "GET", "path": "/health"}]}'
// ca: a file; one_by_one: each request waits for the end of the one before; wait_close: until the connection has closed.
// A request: method, path, headers, body (text), cancel_after (bytes of the answer), cancel_ms.
// Of it comes: status, headers, body, bytes, trailers, code (of RST_STREAM, 0 without one), error.
const fs = require('fs')
const http2 = require('http2')

const job = JSON.parse(fs.readFileSync(0))
const NGHTTP2_CANCEL = 8
const BODY_SHOWN = 100000
const result = {results: [], goaway: [], settings: null, alpn: null, error: null}

const session = http2.connect(job.url, job.ca ? {ca: fs.readFileSync(job.ca)} : {})
const closed = new Promise((resolve) => session.on('close', resolve))
session.on('error', (error) => { result.error = error.code || error.message })
session.on('goaway', (code, last) => result.goaway.push({code, last}))
session.on('remoteSettings', (settings) => { result.settings = result.settings || settings })

const ask = (one) => new Promise((resolve) => {
  const {method = 'GET', path, headers = {}, body, cancel_after: cancelAfter, cancel_ms: cancelMs} = one
  const got = {status: null, headers: {}, informational: [], body: '', bytes: 0, trailers: null, code: null, error: null}
  let stream
  try {
    stream = session.request({':method': method, ':path': path, ...headers}, {endStream: body === undefined})
  } catch (error) {
    return resolve({...got, error: error.code})
  }
  const chunks = []
  stream.on('headers', (head) => got.informational.push(head[':status']))
  stream.on('response', (head) => {
    for (const [name, value] of Object.entries(head)) if (!name.startsWith(':')) got.headers[name] = value
    got.status = head[':status']
  })
  stream.on('data', (piece) => {
    got.bytes += piece.length
    if (got.bytes < BODY_SHOWN) chunks.push(piece)
    if (cancelAfter && got.bytes >= cancelAfter) stream.close(NGHTTP2_CANCEL)
  })
  stream.on('trailers', (trailers) => { got.trailers = {...trailers} })
  stream.on('error', (error) => { got.error = error.code || error.message })
  stream.on('close', () => resolve({...got, body: Buffer.concat(chunks).toString(), code: stream.rstCode}))
  if (body !== undefined) stream.end(body)
  if (cancelMs) setTimeout(() => stream.close(NGHTTP2_CANCEL), cancelMs)
})

const main = async () => {
  await Promise.race([new Promise((resolve) => session.once('connect', resolve)), closed])
  result.alpn = session.alpnProtocol
  if (job.one_by_one) for (const one of job.requests) result.results.push(await ask(one))
  else result.results = await Promise.all(job.requests.map(ask))
  if (job.wait_close) await closed
  session.close()
  process.stdout.write(JSON.stringify(result) + '\n')
}

main()
