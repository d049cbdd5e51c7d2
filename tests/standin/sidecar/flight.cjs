// Arrow Flight's messages: requests into what flight.py reads, its lines into what clients read.
const {encode, decode} = require('./protobuf.cjs')

const SQL_TYPES = 'type.googleapis.com/arrow.flight.protocol.sql.'
const UNKNOWN_COUNT = -1
const DATABASE_NAMES = ['database', 'bucket', 'bucket-name', 'namespace_name']

const any = (name, ...fields) => encode([1, SQL_TYPES + name], [2, encode(...fields)])

/** {name, fields} of a Flight SQL message in protobuf's Any. */
const opened = (bytes) => {
  const outer = decode(bytes)
  return {name: String(outer[1] || '').replace(SQL_TYPES, ''), fields: decode(outer[2] || Buffer.alloc(0))}
}

const text = (bytes) => (bytes === undefined ? '' : Buffer.from(bytes).toString())

/** The JSON ticket of the InfluxDB clients, or a handle of ours, which is JSON, too. */
const fromJson = (json) => {
  let ticket
  try {
    ticket = JSON.parse(json)
  } catch (error) {
    return {invalid: `Invalid ticket: ${error.message}`}
  }
  const database = DATABASE_NAMES.map((name) => ticket[name]).find((value) => value !== undefined)
  if (typeof ticket.sql_query !== 'string') return {invalid: 'Invalid ticket: missing sql_query'}
  return {database, sql_query: ticket.sql_query, query_type: ticket.query_type, params: ticket.params}
}

const fromStatement = (bytes) => {
  const {name, fields} = opened(bytes)
  if (name === 'CommandStatementQuery') return {sql_query: text(fields[1])}
  if (name === 'CommandPreparedStatementQuery' || name === 'TicketStatementQuery') return fromJson(text(fields[1]))
  return {invalid: `Flight SQL command ${name} is not implemented`}
}

const readTicket = (message) => {
  const ticket = decode(message)[1] || Buffer.alloc(0)
  return ticket[0] === 0x7b ? fromJson(ticket.toString()) : fromStatement(ticket)
}

const readDescriptor = (message) => {
  const descriptor = decode(message)
  return descriptor[2] === undefined ? {invalid: 'the descriptor has no command'} : fromStatement(descriptor[2])
}

const readAction = (message) => {
  const action = decode(message)
  const type = text(action[1])
  const statement = type === 'CreatePreparedStatement' ? {sql_query: text(opened(action[2]).fields[1])} : {}
  return {action: type, ...statement}
}

/** method: first message -> fields for flight.py. */
const FIRST_MESSAGE = {DoGet: readTicket, GetFlightInfo: readDescriptor, DoAction: readAction, Handshake: () => ({})}

const handleOf = ({database, sql_query}) => JSON.stringify({database, sql_query})

const writeFlightInfo = ({message}) => {
  const {schemaMessage} = require('./arrow.cjs')
  const ticket = any('TicketStatementQuery', [1, handleOf(message)])
  const descriptor = encode([1, 2], [2, any('CommandStatementQuery', [1, message.sql_query])])
  return [encode([1, schemaMessage(message.columns)], [2, descriptor], [3, encode([1, encode([1, ticket])])],
    [4, UNKNOWN_COUNT], [5, UNKNOWN_COUNT])]
}

const writePrepared = ({message}) => {
  const {schemaMessage} = require('./arrow.cjs')
  return [encode([1, any('ActionCreatePreparedStatementResult', [1, handleOf(message)],
    [2, schemaMessage(message.columns)])])]
}

/** FlightData for a stream: the schema first, then batches. */
const recordWriter = () => {
  const {Batches} = require('./arrow.cjs')
  let batches
  const wrapped = ({header, body}) => encode([2, header], [1000, body])
  return (one) => {
    if (one.columns) {
      batches = new Batches(one.columns)
      return [wrapped(batches.schema())]
    }
    return [wrapped(batches.batch(one.rows, one.values))]
  }
}

/** A function (line of flight.py) -> messages. */
const writerFor = (method) => ({
  DoGet: recordWriter, GetFlightInfo: () => writeFlightInfo, DoAction: () => writePrepared,
  Handshake: () => () => [Buffer.alloc(0)],
}[method]())

module.exports = {FIRST_MESSAGE, writerFor}
