/**
 * The life of a sniffer in JavaScript. Calls take effect in the order in which they are made. The
 * native half, which is the same for every interface, decides what they do.
 */
import type * as api from '../index'
import type { Callback } from './config'
import { Delivery } from './delivery'
import { SnifferError, type Particulars } from './errors'
import type { Addon, Native } from './native'
import { unwatch, watch } from './signals'

/** The longest delay of a timer, which only keeps the event loop alive. */
const LONG = 0x7fff_ffff

export class Sniffer implements api.Sniffer {
  readonly #native: Native
  readonly #delivery: Delivery | undefined
  /** Settles once the latest call has taken effect. */
  #latest: Promise<unknown> = Promise.resolve()
  /** Settles once the latest run is over. */
  #over: Promise<void> = Promise.resolve()
  /** True between `started` and `ended`. */
  #started = false
  /** Number of calls of `stop` in progress. */
  #stops = 0

  constructor(native: Native, callback: Callback | undefined, addon: Addon) {
    this.#native = native
    this.#delivery = callback && new Delivery(native, callback, addon)
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#open())
  }

  async stop(): Promise<void> {
    this.#stops += 1
    // At once if it runs; if it is opening, when the turn of this call comes.
    if (this.#started) this.#native.requestStop()
    await this.#inTurn(() => this.#close())
    this.#stops -= 1
  }

  isRunning(): boolean {
    return this.#started && this.#stops === 0 && this.#native.isRunning()
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#latest.then(step)
    this.#latest = done.catch(() => {})
    return done
  }

  #open(): Promise<void> {
    const alive = setInterval(() => {}, LONG)
    const { promise, resolve, reject } = deferred()
    const over = deferred()
    const notify: Parameters<Native['start']>[0] = (what, particulars) => {
      switch (what) {
        case 'refused':
          clearInterval(alive)
          return reject(new SnifferError(JSON.parse(particulars) as Particulars))
        case 'started':
          this.#started = true
          this.#over = over.promise
          watch(this)
          return resolve()
        case 'ready':
          return this.#delivery?.ready()
        case 'ended':
          this.#started = false
          clearInterval(alive)
          unwatch(this)
          return over.resolve()
      }
    }
    try {
      this.#native.start(notify)
    } catch (error) {
      clearInterval(alive)
      reject(error)
    }
    return promise
  }

  #close(): Promise<void> {
    if (this.#started) this.#native.requestStop()
    return this.#over
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
