/** A callback that misbehaves does no harm. */
import * as assert from 'node:assert/strict'
import { test } from 'node:test'
import { Child, ask, serve, skip, sniff } from './kit'

test('what it throws or rejects is logged and goes no further', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  for (const [callback, logged] of [
    [`() => { throw new Error('mine') }`, /^onHttpMessage threw: Error: mine/],
    [`async () => { throw new Error('mine') }`, /^onHttpMessage was rejected: Error: mine/],
    [`() => ({ then: (_, no) => no('plain') })`, /^onHttpMessage was rejected: plain/],
    [`() => ({ get then() { throw 'mean' } })`, /^onHttpMessage (threw|was rejected): mean/],
    [`() => { throw { toString() { throw 1 } } }`, /^onHttpMessage threw: something/],
    [`() => { throw undefined }`, /^onHttpMessage threw: undefined/],
    [`() => Promise.reject(null)`, /^onHttpMessage was rejected: null/],
  ] as const) {
    const child = new Child(t, `
      process.on('uncaughtException', () => console.log('uncaught')).on('unhandledRejection', () => console.log('unhandled'))
      let calls = 0
      const callback = ${callback}
      const sniffer = createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage(...args) {
        calls += 1
        if (calls === 4) sniffer.stop().then(() => console.log('calls', calls))
        return callback.apply(this, args)
      } })
      sniffer.start().then(() => console.log('started'))`)
    await child.printed('started')
    await ask(port)
    await ask(port)
    assert.deepEqual(await child.ended, { code: 0, signal: null }, callback)
    assert.deepEqual(child.out, ['started', 'calls 4'], callback)
    const errors = child.log.filter(({ level }) => level === 'error')
    // Once a second at most; the four calls may fall into two seconds.
    assert.ok(errors.length === 1 || errors.length === 2, JSON.stringify(errors))
    assert.match(errors[0]?.message ?? '', logged)
  }
})

test('one that never ends its promise is called for every message', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  let calls = 0
  const [sniffer] = await sniff(t, port, { onHttpMessage: () => (calls += 1, new Promise(() => {})) })
  for (let n = 0; n < 10; n += 1) await ask(port)
  await sniffer.stop()
  assert.equal(calls, 20)
})

test('a slow one lets others have their turn between messages', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  let [calls, turns, between] = [0, 0, 0]
  const spin = setInterval(() => (turns += 1), 1)
  t.after(() => clearInterval(spin))
  const [sniffer] = await sniff(t, port, {
    onHttpMessage: () => {
      calls += 1
      if (turns > 0) between += 1
      turns = 0
      const until = performance.now() + 20
      while (performance.now() < until);
    },
  })
  // At most one batch: 60 messages on one connection wait while the first is handled.
  await Promise.all(Array.from({ length: 30 }, () => ask(port)))
  await sniffer.stop()
  assert.equal(calls, 60)
  assert.ok(between > 50, `the timer had its turn between ${between} of 60 messages`)
})

test('one that is too slow costs the newest messages, counted and logged, and stop keeps to its time', { skip }, async (t) => {
  const port = await serve(t, (request, response) => request.resume().on('end', () => response.end()))
  const child = new Child(t, `
    let calls = 0
    const sniffer = createSniffer({ ports: [${port}], interface: 'lo', drainTimeoutMs: 300, onHttpMessage() {
      calls += 1
      console.log('called')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    } })
    process.stdin.on('data', () => {})
    sniffer.start().then(() => console.log('started'))
    process.once('SIGUSR2', () => sniffer.stop().then(() => {
      const before = calls
      setTimeout(() => console.log(JSON.stringify({ before, after: calls })), 300)
      process.stdin.destroy()
    }))`)
  await child.printed('started')
  // Together larger than the queue, 16 MiB.
  for (let n = 0; n < 40; n += 1) await ask(port, '/', { method: 'POST' }, 'x'.repeat(1 << 20))
  await child.until('a message was dropped', () => child.log.some(({ level, output }) => level === 'warn' && output === 'callback'))
  child.process.kill('SIGUSR2')
  assert.deepEqual(await child.ended, { code: 0, signal: null })
  const { before, after } = JSON.parse(child.out.at(-1) ?? '') as { before: number; after: number }
  assert.equal(after, before, 'nothing is called once stop has resolved')
  type Tally = { emitted: number; delivered: number; queued: number; dropped: Record<string, number> }
  const stopped = child.log.find(({ message }) => message === 'stopped')
  const tally = (stopped?.['outputs'] as { callback: Tally }).callback
  assert.equal(tally.emitted, 80)
  assert.equal(tally.queued, 0)
  const dropped = Object.values(tally.dropped).reduce((sum, count) => sum + count, 0)
  assert.equal(tally.emitted, tally.delivered + dropped)
  assert.ok((tally.dropped['queueFull'] ?? 0) > 0 && (tally.dropped['drainTimeout'] ?? 0) > 0, JSON.stringify(tally))
  // The call that was running when the time was over reached the callback, but too late to be
  // counted.
  assert.ok(calls(child) - tally.delivered <= 1, `${calls(child)} calls, ${tally.delivered} delivered`)
})

function calls(child: Child): number {
  return child.out.filter((line) => line === 'called').length
}
