/**
 * The exports of `require('tcp-sniffer')`. The compiler checks them against `index.d.ts`, their
 * contract; `index.mjs` exports the same to `import`. Next: `sniffer.ts`.
 */
import type * as api from '../index'
import { plain } from './config'
import * as errors from './errors'
import { addon } from './native'
import { Sniffer } from './sniffer'

export const createSniffer: typeof api.createSniffer = (config) => {
  try {
    const { values, callback } = plain(config, addon.fields())
    const created = addon.create(values, callback !== undefined, (name) => process.env[name])
    if ('field' in created) throw new errors.ConfigError(created.field, created.message)
    return new Sniffer(created, callback, addon)
  } catch (error) {
    if (error instanceof errors.ConfigError) addon.logRefusal(error.field, error.message)
    throw error
  }
}

// The constructors are the package's own, so the contract declares them private.
export const ConfigError = errors.ConfigError as unknown as typeof api.ConfigError
export const SnifferError = errors.SnifferError as unknown as typeof api.SnifferError
