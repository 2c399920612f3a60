/**
 * SIGTERM and SIGINT: stop, drain, and end as the process would have; other listeners decide
 * instead.
 */
import * as assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, Child, serve, skip } from './kit'

/**
 * A child that sniffs; `more` runs before it starts. Its callback prints the direction of each
 * message.
 */
const sniffing = (port: number, more = ''): string => `
  const sniffer = createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: ({ direction }) => console.log(direction) })
  process.on('exit', (code) => console.log('exit', code))
  ${more}
  sniffer.start().then(() => console.log('started'))`

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} drains, then ends the process as it would have`, { skip }, async (t) => {
    const port = await serve(t, (_, response) => response.end('hello'))
    const child = new Child(t, sniffing(port))
    await child.printed('started')
    await ask(port)
    child.process.kill(signal)
    assert.deepEqual(await child.ended, { code: null, signal })
    assert.deepEqual(child.out, ['started', 'request', 'response'], 'both were captured before the signal')
    assert.equal(child.log.at(-1)?.message, 'stopped')
  })

  test(`${signal} leaves the end to whoever else listens`, { skip }, async (t) => {
    const port = await serve(t, (_, response) => response.end('hello'))
    for (const how of ['on', 'once', 'prependListener', 'prependOnceListener']) {
      const child = new Child(t, sniffing(port, `process.${how}('${signal}', (name) => { console.log(name); process.exitCode = 5 })`))
      await child.printed('started')
      await ask(port)
      child.process.kill(signal)
      assert.deepEqual(await child.ended, { code: 5, signal: null }, how)
      assert.deepEqual(child.out.filter((line) => line !== signal), ['started', 'request', 'response', 'exit 5'], how)
      assert.ok(child.out.includes(signal), how)
    }
  })

  test(`${signal} is nothing to a sniffer that does not run`, { skip }, async (t) => {
    const port = await serve(t, (_, response) => response.end())
    const child = new Child(t, `
      const sniffer = createSniffer({ ports: [${port}], interface: 'lo' })
      sniffer.start().then(() => sniffer.stop()).then(() => {
        console.log('listeners', process.listenerCount('SIGTERM') + process.listenerCount('SIGINT'))
        setInterval(() => {}, 1000)
      })`)
    await child.printed('listeners 0')
    child.process.kill(signal)
    assert.deepEqual(await child.ended, { code: null, signal })
  })
}

test('a second signal ends a long drain', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  // A webhook that never answers keeps the drain waiting.
  const [arrived, hold] = [deferred(), await serve(t, () => arrived.resolve())]
  const child = new Child(t, `
    const sniffer = createSniffer({ ports: [${port}], interface: 'lo', outputUrl: 'http://127.0.0.1:${hold}/', drainTimeoutMs: 600000 })
    sniffer.start().then(() => console.log('started'))
    process.on('SIGUSR2', () => console.log('running', sniffer.isRunning()))`)
  await child.printed('started')
  await ask(port)
  await arrived.promise
  child.process.kill('SIGTERM')
  while (!child.out.includes('running false')) {
    child.process.kill('SIGUSR2')
    await new Promise(setImmediate)
  }
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGTERM' })
})

test('one signal stops all that run', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const child = new Child(t, `
    const make = () => createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: ({ direction }) => console.log(direction) })
    const [one, two] = [make(), make()]
    Promise.all([one.start(), two.start()]).then(() => console.log('started'))`)
  await child.printed('started')
  await ask(port)
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGTERM' })
  assert.deepEqual(child.out.toSorted(), ['request', 'request', 'response', 'response', 'started'])
  assert.equal(child.log.filter(({ message }) => message === 'stopped').length, 2)
})

test('a listener may stop it too, and exit when it likes', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const child = new Child(t, sniffing(port, `process.on('SIGTERM', async () => { await sniffer.stop(); console.log('mine'); process.exit(3) })`))
  await child.printed('started')
  await ask(port)
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: 3, signal: null })
  assert.deepEqual(child.out, ['started', 'request', 'response', 'mine', 'exit 3'])
})

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((yes) => (resolve = yes))
  return { promise, resolve }
}
