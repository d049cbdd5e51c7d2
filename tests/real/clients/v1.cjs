// The v1 client `influx`: one action per run, the outcome as one JSON value.
// node v1.cjs ACTION HOST PORT TOKEN DATABASE
const Influx = require('influx')

const [action, host, port, token, database] = process.argv.slice(2)
const influx = new Influx.InfluxDB({
  host, port: Number(port), protocol: 'http', database, username: 'any', password: token,
})
const point = (number) => ({
  measurement: 'v1', tags: {number: String(number)}, fields: {value: number},
  timestamp: new Date(1700000000000 + number),
})
const points = (count) => Array.from({length: count}, (_, number) => point(number))

const actions = {
  write: async () => {
    await influx.writePoints(points(3))
    await influx.writePoints(points(2000))
    return 'written'
  },
  query: async () => {
    const rows = await influx.query('SELECT value FROM v1 ORDER BY time LIMIT 2')
    return rows.map((row) => [row.time.getTime(), row.value])
  },
  names: () => influx.getDatabaseNames(),
  ping: () => influx.ping(5000).then((hosts) => hosts.map(({online, version}) => ({online, version}))),
  fail: () => influx.writePoints(points(1)).then(() => 'written', (error) => ({message: error.message})),
}

actions[action]().then((value) => console.log(JSON.stringify(value)), (error) => {
  console.error(error)
  process.exit(1)
})
