/**
 * From batches of messages to calls of the user's function, one a message: in slices of time, so that a slow function does
 * not keep the event loop from others. What it throws or rejects is logged and goes no further.
 */
import type * as api from '../index'
import type { Callback } from './config'
import { words } from './errors'
import type { Addon, Native } from './native'

/** Milliseconds of callbacks before others have their turn. Arbitrary: a tenth of what a person notices. */
const SLICE = 10

export class Delivery {
  readonly #native: Native
  readonly #callback: Callback
  readonly #addon: Addon
  /** In hand; the first `#next` of them were given to the callback, and all before that are settled. */
  #messages: api.HttpMessage[] = []
  #next = 0
  /** A slice is running or will. */
  #busy = false

  constructor(native: Native, callback: Callback, addon: Addon) {
    this.#native = native
    this.#callback = callback
    this.#addon = addon
  }

  /** There is something to take. */
  ready(): void {
    if (this.#busy) return
    this.#busy = true
    this.#slice()
  }

  #slice(): void {
    const until = performance.now() + SLICE
    while (this.#fill()) {
      const from = this.#next
      do {
        this.#call(this.#messages[this.#next] as api.HttpMessage)
        this.#next += 1
      } while (this.#next < this.#messages.length && performance.now() < until)
      const wanted = this.#native.settle(this.#next - from)
      if (!wanted) this.#drop()
      if (performance.now() >= until) {
        setImmediate(() => this.#slice())
        return
      }
    }
    this.#busy = false
  }

  /** Whether there is a message to deliver that is still wanted. */
  #fill(): boolean {
    if (this.#next < this.#messages.length && this.#native.settle(0)) return true
    this.#drop()
    const batch = this.#native.take()
    if (batch === null) return false
    this.#messages = JSON.parse(batch) as api.HttpMessage[]
    return this.#messages.length > 0
  }

  #drop(): void {
    this.#messages = []
    this.#next = 0
  }

  #call(message: api.HttpMessage): void {
    try {
      const result = this.#callback.call(undefined, message)
      // Anything with a `then` may be rejected; asking for it may throw as well.
      if (typeof result === 'object' && result !== null && 'then' in result) {
        Promise.resolve(result).catch((error: unknown) => this.#failed('was rejected', error))
      }
    } catch (error) {
      this.#failed('threw', error)
    }
  }

  #failed(how: string, error: unknown): void {
    this.#addon.logFailure(`onHttpMessage ${how}: ${words(error)}`)
  }
}
