// The official v3 client queries by Flight: echo '{"host": URL, "token": T, "database": D, "query": SQL}'
// type: sql or influxql; params; points: queryPoints instead of rows; at_most: leave the iteration after so many rows;
// times: ask so often, at the same time. The outcome is one JSON value: {rows} or {error}, a list with times.
const fs = require('fs')
const {InfluxDBClient} = require('@influxdata/influxdb3-client')

const job = JSON.parse(fs.readFileSync(0))
const client = new InfluxDBClient({host: job.host, token: job.token || 'none', database: job.database,
  queryTimeout: job.timeout_ms || 20000})
const plain = (key, value) => (typeof value === 'bigint' ? Number(value) : value)

const rowsOf = async () => {
  const options = {type: job.type || 'sql', params: job.params || {}}
  const source = job.points ? client.queryPoints(job.query, job.database, options)
    : client.query(job.query, job.database, options)
  const rows = []
  let count = 0
  try {
    for await (const row of source) {
      count += 1
      if (rows.length < 1000) rows.push(job.points ? row.asPoint('points').toLineProtocol() : row)
      if (count === job.at_most) break
    }
    return {count, rows}
  } catch (error) {
    return {count, error: {name: error.name, code: error.code, message: error.message}}
  }
}

const main = async () => {
  const outcome = job.times ? await Promise.all(Array.from({length: job.times}, rowsOf)) : await rowsOf()
  await client.close()
  process.stdout.write(JSON.stringify(outcome, plain) + '\n')
}

main().catch((error) => { console.error(error); process.exit(1) })
