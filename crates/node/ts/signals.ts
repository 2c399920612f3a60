/**
 * SIGTERM and SIGINT while a sniffer runs: all sniffers stop and drain, then the process ends as it
 * would have. Other listeners run as they would have, and then they decide: a signal is raised
 * again only if there are none.
 *
 * Only in the main thread: workers get no signals.
 */
import { isMainThread } from 'node:worker_threads'

interface Stoppable {
  stop(): Promise<void>
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Marks a listener as a sniffer's, of any copy of this package. */
const OURS = Symbol.for('tcp-sniffer.signal')

const running = new Set<Stoppable>()
/** Signals that came while a sniffer ran. */
let draining = false

export function watch(sniffer: Stoppable): void {
  if (running.size === 0 && isMainThread) {
    // Prepended, so that a listener that removes itself when called is still there to be counted.
    for (const signal of SIGNALS) process.prependListener(signal, onSignal)
  }
  running.add(sniffer)
}

export function unwatch(sniffer: Stoppable): void {
  running.delete(sniffer)
  if (running.size === 0) {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

const onSignal = Object.assign(
  (signal: NodeJS.Signals): void => {
    const others = process.listeners(signal).some((listener) => !(OURS in listener))
    if (draining) {
      // A second signal ends the process at once.
      if (!others) raise(signal)
      return
    }
    draining = true
    void Promise.all(Array.from(running, (sniffer) => sniffer.stop())).then(() => {
      draining = false
      // Another copy of this package may still be draining. The last one raises the signal.
      if (!others && process.listenerCount(signal) === 0) raise(signal)
    })
  },
  { [OURS]: true },
)

function raise(signal: NodeJS.Signals): void {
  process.off(signal, onSignal)
  process.kill(process.pid, signal)
}
