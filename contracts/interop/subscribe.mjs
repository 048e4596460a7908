/* Prints each event of some topics once, as a line of JSON, from the beginning of the log on.
 *
 *   node subscribe.mjs [--once] [--group NAME] HOST:PORT TOPIC...
 *
 * `--once` ends where the log ended when it began. Offsets are committed after an event is
 * printed, so that a stop loses none; one that comes again is known by its id and not printed.
 * (What outlives a restart keeps those ids where it keeps its state.) A record that cannot be
 * read is told on stderr by its place, and its neighbours are printed. */

import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes } from '@platformatic/kafka'
import { decode, Unreadable } from './decode.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { once: { type: 'boolean' }, group: { type: 'string' } }
})
const [broker, ...topics] = positionals
if (topics.length === 0) {
  console.error('usage: node subscribe.mjs [--once] [--group NAME] HOST:PORT TOPIC...')
  process.exit(2)
}

process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0) // whoever reads has seen enough, as `head` does
})

const consumer = new Consumer({
  clientId: 'coterie-interop',
  groupId: options.group ?? `coterie-interop.${randomUUID()}`,
  bootstrapBrokers: [broker]
})
const seen = new Set()
try {
  const open = options.once ? await unread() : new Map()
  if (!options.once || open.size > 0) await follow(open)
} catch (error) {
  console.error(`${broker}: ${error.errors?.[0]?.message ?? error.message}`)
  process.exitCode = 1
} finally {
  await consumer.close(true)
}

/* The end of each partition that this group has not read to its end. */
async function unread () {
  const ends = await consumer.listOffsets({ topics })
  const assigned = [...ends].map(([topic, all]) => ({ topic, partitions: [...all.keys()] }))
  const done = await consumer.listCommittedOffsets({ topics: assigned })
  const open = new Map()
  for (const [topic, all] of ends) {
    for (const [partition, end] of all.entries()) {
      const next = done.get(topic)?.[partition] ?? -1n
      if (end > (next < 0n ? 0n : next)) open.set(`${topic}/${partition}`, end)
    }
  }
  return open
}

async function follow (open) {
  const stream = await consumer.consume({
    topics,
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
    autocommit: false
  })
  process.once('SIGINT', () => stream.close())
  process.once('SIGTERM', () => stream.close())
  for await (const message of stream) {
    show(message)
    await message.commit()
    const place = `${message.topic}/${message.partition}`
    if (message.offset + 1n >= open.get(place)) open.delete(place)
    if (options.once && open.size === 0) break
  }
}

function show (message) {
  try {
    const { event, headers, replayed } = decode(message)
    if (seen.has(event.id)) return
    seen.add(event.id)
    const { id, type, subject, data = null } = event
    console.log(JSON.stringify({ id, type, subject, time: headers.ce_time, replayed, data }))
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    console.error(`${message.topic}/${message.partition}/${message.offset}: ${error.message}`)
  }
}
