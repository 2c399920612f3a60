/**
 * What `require('tcp-sniffer')` gives. `index.d.ts` is its contract, which the compiler holds this against; `index.mjs` gives
 * the same to `import`. Next: `sniffer.ts`.
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

// The constructors are the package's own, so in the contract they are private.
export const ConfigError = errors.ConfigError as unknown as typeof api.ConfigError
export const SnifferError = errors.SnifferError as unknown as typeof api.SnifferError
