/* A Kafka record as a CloudEvent of the official package, and never a guess.
 *
 * The package takes text where clients give bytes, mints an id where none came, and cuts times to
 * milliseconds: so bytes become text here, what must be there is looked for first, and the time
 * as it was sent stays in the headers. Attributes without a field of their own (`sequence`,
 * `communityid`, `causationid`, …) are the event's extensions. */

import { Kafka } from 'cloudevents'

const REQUIRED = [
  'ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_subject', 'ce_time', 'ce_actor',
  'ce_causationid', 'ce_correlationid', 'ce_recordedtime'
]

export class Unreadable extends Error {}

/** An event of this platform in a version that this reader does not have: upgrade the reader. */
export class UnknownVersion extends Unreadable {}

/**
 * `headers` is an iterable of pairs of name and value, all of it and `key` and `value` Buffers.
 * Returns `{ event, headers, replayed }`; `event.data` is undefined for a tombstone. Throws
 * `UnknownVersion` for a type that `known` (a Set of types, or nothing to take all) does not
 * hold, `Unreadable` for everything else that is no event.
 */
export function decode ({ topic, key, headers: raw, value }, known) {
  const headers = {}
  for (const [name, bytes] of raw) headers[text(name, 'name of a header')] = text(bytes, name)
  for (const name of REQUIRED) {
    if (!headers[name]) throw new Unreadable(`header '${name}' is missing`)
  }
  const type = headers.ce_type
  if (known !== undefined && !known.has(type)) {
    throw new UnknownVersion(`type '${type}' is not known on topic '${topic}'`)
  }
  const replayed = 'coterie-replay' in headers
  if (value === null || value === undefined || value.length === 0) {
    return { event: { id: headers.ce_id, type, subject: headers.ce_subject }, headers, replayed }
  }
  try {
    const event = Kafka.toEvent({ key: text(key, 'key'), headers, value: text(value, 'value') })
    event.validate()
    return { event, headers, replayed }
  } catch (error) {
    throw new Unreadable(error.message)
  }
}

const strict = new TextDecoder('utf-8', { fatal: true })

function text (bytes, what) {
  if (bytes === null || bytes === undefined) throw new Unreadable(`${what} is null`)
  try {
    return typeof bytes === 'string' ? bytes : strict.decode(bytes)
  } catch {
    throw new Unreadable(`${what} is not UTF-8`)
  }
}
