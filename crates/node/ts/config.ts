/**
 * From a value given as a configuration to plain values, each read exactly once. The native half
 * has all rules about fields, the same for every interface. Only what no rule can judge is refused
 * here: a getter that throws, a callback that is not a function.
 */
import type * as api from '../index'
import { ConfigError, words } from './errors'

export interface Plain {
  /** The JSON of a list of `[name, value]`. */
  values: string
  callback: Callback | undefined
}

export type Callback = (message: api.HttpMessage) => unknown

const CALLBACK = 'onHttpMessage'

/** More than any valid list has: there are at most 65 535 ports. */
const LIST_MAX = 65_535

export function plain(config: unknown, fields: readonly string[]): Plain {
  if (typeof config !== 'object' || config === null || isList(config)) {
    throw new ConfigError('config', `config is ${shown(config)}; it must be an object, such as { ports: [8080] }`)
  }
  const object = config as Record<string, unknown>
  const values: [string, unknown][] = []
  let callback: Callback | undefined
  for (const name of names(object, fields)) {
    const value = read(name, () => object[name])
    if (value === undefined) continue
    if (name !== CALLBACK) {
      values.push([wellFormed(name), read(name, () => json(value))])
    } else if (typeof value === 'function') {
      callback = value as Callback
    } else {
      throw new ConfigError(CALLBACK, `${CALLBACK} is ${shown(value)}; it must be a function`)
    }
  }
  return { values: JSON.stringify(values), callback }
}

/** All enumerable properties, and the known fields, which may be getters of a class. */
function names(object: object, fields: readonly string[]): Set<string> {
  return read('config', () => {
    const found = new Set<string>()
    for (const name in object) found.add(name)
    for (const name of [...fields, CALLBACK]) if (name in object) found.add(name)
    return found
  })
}

/** Getters and proxies run code of others. */
function read<T>(name: string, reading: () => T): T {
  try {
    return reading()
  } catch (error) {
    throw new ConfigError(name, `${name} cannot be read: ${firstLine(words(error))}`, { cause: error })
  }
}

/**
 * A value that JSON can carry, or a stand-in for one that it cannot (`Values::set_value` in
 * `sniffer-live`).
 */
function json(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
      return wellFormed(value)
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : foreign(shown(value))
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) {
        const { length } = value
        if (length > LIST_MAX) return foreign(`a list of ${length}`)
        return Array.from({ length }, (_, at) => {
          const part: unknown = value[at]
          // For a list of lists, its outer list is enough.
          return Array.isArray(part) ? foreign('a list') : json(part)
        })
      }
  }
  return foreign(shown(value))
}

function foreign(text: string): object {
  return { foreign: text }
}

/** Text for an error, made without calling any code of the value. */
function shown(value: unknown): string {
  switch (typeof value) {
    case 'object':
      return value === null ? 'null' : isList(value) ? 'a list' : 'an object'
    case 'string':
      return JSON.stringify(value.slice(0, 60))
    case 'bigint':
      return 'a bigint'
    case 'function':
    case 'symbol':
      return `a ${typeof value}`
    default:
      return String(value)
  }
}

/** A revoked proxy is neither, and throws when it is inspected. */
function isList(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/** UTF-8 cannot carry half a surrogate pair. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
