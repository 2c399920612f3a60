/**
 * SIGTERM and SIGINT while something runs: everything stops and drains, then the process ends as it would have. The
 * listeners of others run as they would have, and decide then: a signal is raised again only when there are none.
 *
 * Only in the main thread; workers get no signals.
 */
import { isMainThread } from 'node:worker_threads'

interface Stoppable {
  stop(): Promise<void>
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** On a listener: it is a sniffer's, of whatever copy of this package. */
const OURS = Symbol.for('tcp-sniffer.signal')

const running = new Set<Stoppable>()
/** Signals that came while something ran. */
let draining = false

export function watch(sniffer: Stoppable): void {
  if (running.size === 0 && isMainThread) {
    // First, so that a listener that is removed by its call is still there to be seen.
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
      // The second time somebody means it.
      if (!others) raise(signal)
      return
    }
    draining = true
    void Promise.all(Array.from(running, (sniffer) => sniffer.stop())).then(() => {
      draining = false
      // Another copy of this package may still be draining; the last of them raises it.
      if (!others && process.listenerCount(signal) === 0) raise(signal)
    })
  },
  { [OURS]: true },
)

function raise(signal: NodeJS.Signals): void {
  process.off(signal, onSignal)
  process.kill(process.pid, signal)
}
