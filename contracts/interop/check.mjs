/* The AsyncAPI document is one, says the official parser; its examples are what it promises.
 *
 * The parser takes payloads in any schema format on trust, so schemas (JSON Schema 2020-12) and
 * examples are judged here by ajv. Exit code 1 and a line for each fault. */

import { Parser, fromFile } from '@asyncapi/parser'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const file = process.argv[2] ?? new URL('../asyncapi.yaml', import.meta.url).pathname
const faults = []
const { document, diagnostics } = await fromFile(new Parser(), file).parse()
for (const { code, message, path } of diagnostics) {
  // A newer AsyncAPI exists; 3.0.0 is what most tools read.
  if (code !== 'asyncapi-latest-version') faults.push(`${path.join('.')}: ${message} (${code})`)
}

const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true })
addFormats(ajv)
ajv.addKeyword('x-unit')
let messages = 0
for (const channel of document?.channels().all() ?? []) {
  for (const message of channel.messages().all()) {
    messages += 1
    const parts = { headers: message.headers().json(), payload: message.payload().json().schema }
    for (const example of message.examples().all()) {
      const given = { headers: example.headers(), payload: example.payload() }
      for (const [part, schema] of Object.entries(parts)) {
        try {
          if (ajv.validate(withoutNames(schema), given[part])) continue
          faults.push(`${message.name()}: example ${part}: ${ajv.errorsText()}`)
        } catch (error) {
          faults.push(`${message.name()}: ${part}: ${error.message}`)
        }
      }
    }
  }
}

/* The parser resolves a reference in place and repeats what it names, ids included. */
function withoutNames (schema) {
  const text = JSON.stringify(schema, (key, value) => (key.startsWith('x-parser') ? undefined : value))
  const { $id, ...rest } = JSON.parse(text)
  return rest
}

for (const fault of faults) console.error(fault)
if (faults.length === 0) {
  console.log(`${document.channels().all().length} channels, ${messages} messages: accepted`)
}
process.exitCode = faults.length === 0 ? 0 : 1
