/* Every golden record, read from its exact bytes, says what its readable example says.
 *
 * A folder of examples may be given. Exit code 1 and a line for each that does not. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode } from './decode.mjs'

const folder = process.argv[2] ?? fileURLToPath(new URL('../examples', import.meta.url))
const json = path => JSON.parse(readFileSync(path, 'utf8'))
const bytes = text => (text === null ? null : Buffer.from(text, 'base64'))
let read = 0

for (const topic of readdirSync(folder).sort()) {
  for (const version of readdirSync(join(folder, topic)).sort()) {
    try {
      check(join(folder, topic, version))
      read += 1
    } catch (error) {
      console.error(`${topic} ${version}: ${error.message.split('\n')[0]}`)
      process.exitCode = 1
    }
  }
}
console.log(`${read} golden records read`)

function check (place) {
  const told = json(join(place, 'example.json'))
  const record = json(join(place, 'example.record.json'))
  const { event, headers } = decode({
    topic: record.topic,
    key: bytes(record.key),
    headers: record.headers.map(([name, value]) => [name, bytes(value)]),
    value: bytes(record.value)
  })
  assert.deepEqual(headers, told.headers)
  assert.deepEqual(event.data, told.data)
  for (const [name, value] of Object.entries(told.headers)) {
    if (!name.startsWith('ce_') || name === 'ce_time') continue
    assert.equal(event[name.slice(3)], value, name)
  }
  assert.equal(Date.parse(event.time), Date.parse(told.headers.ce_time))
  assert.equal(event.partitionkey, event.subject)
}
