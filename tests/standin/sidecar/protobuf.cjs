// The little of protobuf that Flight needs: messages as lists of fields, written and read by number.

const varint = (value) => {
  const bytes = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

/** A message from [number, value] pairs: a number or bigint becomes a varint, text and bytes a length-delimited field;
 *  undefined leaves the field out. */
const encode = (...fields) => Buffer.concat(fields.flatMap(([number, value]) => {
  if (value === undefined) return []
  if (typeof value === 'number' || typeof value === 'bigint') return [varint(number * 8), varint(value)]
  const bytes = Buffer.from(value)
  return [varint(number * 8 + 2), varint(bytes.length), bytes]
}))

/** {number: last value} of a message: bigint or bytes; throws on what is none. */
const decode = (bytes) => {
  const fields = {}
  let at = 0
  const readVarint = () => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new Error('truncated')
      const byte = bytes[at++]
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
    throw new Error('varint too long')
  }
  while (at < bytes.length) {
    const tag = Number(readVarint())
    const number = tag >> 3
    const kind = tag & 7
    if (number < 1) throw new Error('invalid tag value: 0')
    if (kind === 0) {
      fields[number] = readVarint()
      continue
    }
    const length = kind === 2 ? Number(readVarint()) : kind === 1 ? 8 : kind === 5 ? 4 : -1
    if (length < 0 || at + length > bytes.length) throw new Error('buffer underflow')
    fields[number] = bytes.subarray(at, at + length)
    at += length
  }
  return fields
}

module.exports = {encode, decode}
