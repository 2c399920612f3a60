/**
 * From batches of messages to calls of the user's function, one per message, in slices of time, so
 * that a slow function does not block the event loop. What it throws or rejects is logged and goes
 * no further.
 */
import type * as api from '../index'
import type { Callback } from './config'
import { words } from './errors'
import type { Addon, Native } from './native'

/**
 * Milliseconds of callbacks before other tasks run. Arbitrary: a tenth of what a person notices.
 */
const SLICE = 10

export class Delivery {
  readonly #native: Native
  readonly #callback: Callback
  readonly #addon: Addon
  /**
   * In hand: the first `#next` of them were given to the callback, and all before them are settled.
   */
  #messages: api.HttpMessage[] = []
  #next = 0
  /** True while a slice is running or scheduled. */
  #busy = false

  constructor(native: Native, callback: Callback, addon: Addon) {
    this.#native = native
    this.#callback = callback
    this.#addon = addon
  }

  /** Called when there are messages to take. */
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

  /** Returns whether there is a message to deliver that is still wanted. */
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
      // Anything with a `then` may be rejected. Even reading `then` may throw.
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
