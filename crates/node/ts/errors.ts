/** The errors of the package. `index.d.ts` describes them. */
import type * as api from '../index'

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'INVALID_CONFIG'
  readonly field: string

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.field = field
  }
}

/** A start that failed, as the native half reports it. */
export interface Particulars {
  code: api.SnifferErrorCode
  message: string
  remedy: string | null
  interfaces: string[] | null
}

export class SnifferError extends Error {
  override readonly name = 'SnifferError'
  readonly code: api.SnifferErrorCode
  readonly interfaces?: readonly string[]
  readonly remedy?: string

  constructor({ code, message, remedy, interfaces }: Particulars) {
    super(message)
    this.code = code
    if (interfaces !== null) this.interfaces = interfaces
    if (remedy !== null) this.remedy = remedy
  }
}

/** The text of a thrown value, for a log. It can be anything. */
export function words(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.stack ?? thrown)
    return String(thrown)
  } catch {
    return 'something that has no text'
  }
}
