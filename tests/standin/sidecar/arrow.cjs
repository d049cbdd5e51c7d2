// Rows into Arrow IPC messages, with the library that the official client reads them with. Loaded by the first query.
const arrow = require('apache-arrow')

const CONTINUATION_BYTES = 8
const TYPES = {
  tag: () => new arrow.Utf8(), string: () => new arrow.Utf8(), float: () => new arrow.Float64(),
  integer: () => new arrow.Int64(), uinteger: () => new arrow.Uint64(), boolean: () => new arrow.Bool(),
  timestamp: () => new arrow.TimestampNanosecond(),
}
// Numbers are put into arrays directly: the library's builder rounds times to milliseconds.
const NUMBERS = {
  float: (values) => Float64Array.from(values, Number),
  integer: (values) => BigInt64Array.from(values, (value) => BigInt(value || 0)),
  uinteger: (values) => BigUint64Array.from(values, (value) => BigInt(value || 0)),
  timestamp: (values) => BigInt64Array.from(values, (value) => BigInt(value || 0)),
}

const column = (type, kind, values) => {
  if (NUMBERS[kind]) {
    const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
    let nullCount = 0
    values.forEach((value, index) => {
      if (value === null) nullCount += 1
      else nullBitmap[index >> 3] |= 1 << (index & 7)
    })
    return arrow.makeData({type, length: values.length, nullCount, nullBitmap, data: NUMBERS[kind](values)})
  }
  const builder = arrow.makeBuilder({type, nullValues: [null]})
  for (const value of values) builder.append(value)
  return builder.finish().flush()
}

/** The encapsulated messages of a stream as {header, body, whole}. */
const messagesOf = (bytes) => {
  const found = []
  for (let at = 0; at + CONTINUATION_BYTES <= bytes.length;) {
    const length = Buffer.from(bytes.buffer, bytes.byteOffset).readInt32LE(at + 4)
    if (length === 0) break
    const begin = at + CONTINUATION_BYTES
    const header = bytes.subarray(begin, begin + length)
    const bodyEnd = begin + length + Number(arrow.Message.decode(header).bodyLength)
    found.push({header, body: bytes.subarray(begin + length, bodyEnd), whole: bytes.subarray(at, bodyEnd)})
    at = bodyEnd
  }
  return found
}

class Batches {
  /** Columns are [name, kind, metadata or null]. */
  constructor(columns) {
    this.kinds = columns.map(([, kind]) => kind)
    this.fields = columns.map(([name, kind, metadata]) =>
      new arrow.Field(name, TYPES[kind](), true, new Map(Object.entries(metadata || {}))))
    this.arrowSchema = new arrow.Schema(this.fields)
  }

  messages(rows, values) {
    const children = this.fields.map((field, index) =>
      column(field.type, this.kinds[index], values === null ? [] : values[index]))
    const data = arrow.makeData({type: new arrow.Struct(this.fields), length: rows, nullCount: 0, children})
    const batch = new arrow.RecordBatch(this.arrowSchema, data)
    return messagesOf(arrow.RecordBatchStreamWriter.writeAll([batch]).toUint8Array(true))
  }

  schema() {
    return this.messages(0, null)[0]
  }

  batch(rows, values) {
    return this.messages(rows, values)[1]
  }
}

/** The schema as GetFlightInfo carries it: an encapsulated message. */
const schemaMessage = (columns) => new Batches(columns).schema().whole

module.exports = {Batches, schemaMessage}
