// gRPC calls with grpc-js and raw bytes, their outcome as one JSON value.
//   echo '{"address": "127.0.0.1:8181", "method": "DoGet", "message": HEX, "metadata": {"database": "d"}}'
// ca: a file, for TLS; deadline_ms; cancel_after (messages); calls: so many at the same time (the value is a list).
// A list of such objects is done one after the other, each on a connection of its own.
const fs = require('fs')
const grpc = require('@grpc/grpc-js')

const SERVICE = '/arrow.flight.protocol.FlightService/'
const MESSAGES_SHOWN = 10
const UNARY = new Set(['GetFlightInfo', 'GetSchema', 'PollFlightInfo'])
const BIDIRECTIONAL = new Set(['Handshake', 'DoPut', 'DoExchange'])
const same = (bytes) => bytes

const textOf = (metadata) => Object.fromEntries(Object.keys(metadata.toJSON()).map((key) => [key, metadata.get(key)]))

const start = (client, job, metadata, options, take) => {
  const path = SERVICE + job.method
  const message = Buffer.from(job.message || '', 'hex')
  if (UNARY.has(job.method)) {
    return client.makeUnaryRequest(path, same, same, message, metadata, options, (error, bytes) => bytes && take(bytes))
  }
  if (!BIDIRECTIONAL.has(job.method)) {
    return client.makeServerStreamRequest(path, same, same, message, metadata, options).on('data', take)
  }
  const running = client.makeBidiStreamRequest(path, same, same, metadata, options)
  running.write(message)
  // The half-close comes only after the answer: the server may not wait for it.
  return running.on('data', (bytes) => { take(bytes); running.end() })
}

const call = (client, job) => new Promise((resolve) => {
  const metadata = new grpc.Metadata()
  for (const [name, values] of Object.entries(job.metadata || {})) {
    for (const value of [].concat(values)) metadata.add(name, value)
  }
  const options = job.deadline_ms ? {deadline: Date.now() + job.deadline_ms} : {}
  const got = {metadata: null, sizes: [], messages: [], times_ms: []}
  const began = Date.now()
  const running = start(client, job, metadata, options, (bytes) => {
    got.sizes.push(bytes.length)
    got.times_ms.push(Date.now() - began)
    if (got.messages.length < MESSAGES_SHOWN) got.messages.push(bytes.toString('hex'))
    if (got.sizes.length === job.cancel_after) running.cancel()
  })
  running.on('metadata', (initial) => { got.metadata = textOf(initial) })
  running.on('error', () => {})
  running.on('status', ({code, details, metadata: trailers}) =>
    setImmediate(() => resolve({...got, code, details, trailers: textOf(trailers), took_ms: Date.now() - began})))
})

const perform = async (job) => {
  const credentials = job.ca ? grpc.credentials.createSsl(fs.readFileSync(job.ca)) : grpc.credentials.createInsecure()
  const client = new grpc.Client(job.address, credentials,
    {'grpc.max_receive_message_length': -1, 'grpc.use_local_subchannel_pool': 1})
  const all = await Promise.all(Array.from({length: job.calls || 1}, () => call(client, job)))
  client.close()
  return job.calls ? all : all[0]
}

const main = async () => {
  const input = JSON.parse(fs.readFileSync(0))
  if (!Array.isArray(input)) return perform(input)
  const outcomes = []
  for (const job of input) outcomes.push(await perform(job))
  return outcomes
}

main().then((outcome) => process.stdout.write(JSON.stringify(outcome) + '\n'))
