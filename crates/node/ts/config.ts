/**
 * From whatever came as a configuration to plain values, each read exactly once. No rule about a field is here: the native
 * half has them, for every front door alike. What no rule could be asked about (a getter that throws, a callback that is no
 * function) is refused here.
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

/** More than any list that is right has: ports are 65 535 at most. */
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

/** Everything enumerable, and the known fields, which may be a class's getters. */
function names(object: object, fields: readonly string[]): Set<string> {
  return read('config', () => {
    const found = new Set<string>()
    for (const name in object) found.add(name)
    for (const name of [...fields, CALLBACK]) if (name in object) found.add(name)
    return found
  })
}

/** Getters and proxies are somebody else's code. */
function read<T>(name: string, reading: () => T): T {
  try {
    return reading()
  } catch (error) {
    throw new ConfigError(name, `${name} cannot be read: ${firstLine(words(error))}`, { cause: error })
  }
}

/** A value that JSON can carry, or what stands for one that it cannot (`Values::set_value` in `sniffer-live`). */
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
          // What holds it tells enough about a list of lists.
          return Array.isArray(part) ? foreign('a list') : json(part)
        })
      }
  }
  return foreign(shown(value))
}

function foreign(text: string): object {
  return { foreign: text }
}

/** For a sentence, and without calling anything of the value's own. */
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

/** A revoked proxy is neither, and throws when it is asked. */
function isList(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/** Half a surrogate pair is nothing that UTF-8 can carry. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
