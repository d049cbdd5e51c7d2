// The v2 client: one action per run, the outcome as one JSON value.  node v2.cjs ACTION URL TOKEN DATABASE
const {InfluxDB, Point} = require('@influxdata/influxdb-client')
const {PingAPI} = require('@influxdata/influxdb-client-apis')

const [action, url, token, database] = process.argv.slice(2)
const influx = new InfluxDB({url, token, timeout: 10000})
const point = (number) => new Point('v2').tag('number', String(number)).intField('value', number)
  .timestamp(`${1700000000000000000n + BigInt(number)}`)

async function write(count, options) {
  const failures = []
  const api = influx.getWriteApi('org', database, 'ns', {
    batchSize: 5000, flushInterval: 0, maxRetries: 0,
    writeFailed: (error) => { failures.push({name: error.name, status: error.statusCode, message: error.message}) },
    ...options,
  })
  for (let number = 0; number < count; number++) api.writePoint(point(number))
  await api.close().catch(() => {})
  return failures
}

const actions = {
  write: () => write(3),
  big: () => write(20000),
  // Its own patience, shortened: by default the first retry comes after 5 to 10 seconds. close() would give up early.
  retry: () => new Promise((resolve) => {
    const statuses = []
    const api = influx.getWriteApi('org', database, 'ns', {
      flushInterval: 0, maxRetries: 200, minRetryDelay: 50, maxRetryDelay: 100, retryJitter: 10, maxRetryTime: 20000,
      writeFailed: (error) => { statuses.push(error.statusCode) },
      writeSuccess: () => { api.close().then(() => resolve(statuses)) },
    })
    for (let number = 0; number < 3; number++) api.writePoint(point(number))
    api.flush().catch(() => {})
  }),
  nonsense: async () => {
    const failures = []
    const api = influx.getWriteApi('org', database, 'ns', {
      maxRetries: 0, writeFailed: (error) => { failures.push({status: error.statusCode, message: error.message}) },
    })
    api.writeRecord('this is no line protocol')
    await api.close().catch(() => {})
    return failures
  },
  ping: async () => {
    let version
    await new PingAPI(influx).getPing({}, {responseStarted: (headers) => { version = headers['x-influxdb-version'] }})
    return version
  },
}

actions[action]().then((value) => console.log(JSON.stringify(value)), (error) => {
  console.error(error)
  process.exit(1)
})
