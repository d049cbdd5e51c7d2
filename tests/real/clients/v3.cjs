// The v3 client's REST half: one action per run, the outcome as one JSON value.  node v3.cjs ACTION URL TOKEN DATABASE
const {InfluxDBClient, Point} = require('@influxdata/influxdb3-client')

const [action, host, token, database] = process.argv.slice(2)
const client = new InfluxDBClient({host, token, database})
const point = (number) => Point.measurement('v3').setTag('number', String(number)).setIntegerField('value', number)
  .setTimestamp(1700000000000000000n + BigInt(number))
const points = (count) => Array.from({length: count}, (_, number) => point(number))
const outcome = (promise) => promise.then(() => 'written', (error) => ({
  name: error.name, status: error.statusCode, message: error.message,
}))

const actions = {
  write: () => outcome(client.write(points(3))),
  big: () => outcome(client.write(points(20000))),
  // noSync is what makes this client use /api/v3/write_lp.
  nosync: () => outcome(client.write(points(3), database, undefined, {noSync: true})),
  nonsense: () => outcome(client.write('this is no line protocol')),
  version: () => client.getServerVersion(),
}

actions[action]().then(async (value) => {
  console.log(JSON.stringify(value))
  await client.close()
}, (error) => { console.error(error); process.exit(1) })
