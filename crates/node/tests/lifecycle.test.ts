/** Start, stop, and the time between. */
import * as assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http from 'node:http'
import { test } from 'node:test'
import { createSniffer, SnifferError } from 'tcp-sniffer'
import { ask, Child, Seen, serve, skip, sniff } from './kit'

const code = (error: unknown): string => {
  assert.ok(error instanceof SnifferError, String(error))
  assert.equal(error.name, 'SnifferError')
  return error.code
}

test('it runs between start and stop', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end('hello'))
  const seen = new Seen()
  const sniffer = createSniffer({ ports: [port], interface: 'lo', onHttpMessage: seen.take })
  const starting = sniffer.start()
  assert.equal(sniffer.isRunning(), false)
  assert.equal(await starting, undefined)
  assert.equal(sniffer.isRunning(), true)
  await ask(port)
  await seen.until(2)
  assert.equal(sniffer.isRunning(), true)
  const stopping = sniffer.stop()
  assert.equal(sniffer.isRunning(), false)
  assert.equal(await stopping, undefined)
  assert.equal(sniffer.isRunning(), false)
})

test('what was captured before stop is delivered before it resolves, and nothing after', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const [sniffer, seen] = await sniff(t, port)
  for (let n = 0; n < 50; n += 1) await ask(port, `/${n}`)
  await sniffer.stop()
  assert.equal(seen.messages.length, 100)
  await ask(port, '/late')
  assert.equal(seen.messages.length, 100)
})

test('a message that is open at stop is given as incomplete', { skip }, async (t) => {
  const port = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half')
  })
  const [sniffer, seen] = await sniff(t, port)
  const client = http.get({ host: '127.0.0.1', port }).on('error', () => {})
  t.after(() => client.destroy())
  const [received] = (await once(client, 'response')) as [http.IncomingMessage]
  // Everything that has arrived here was captured before.
  await once(received, 'data')
  received.on('error', () => {})
  await sniffer.stop()
  const response = seen.messages[1]
  assert.deepEqual([response?.incomplete, response?.body], ['end', 'half'])
})

test('it starts again after stop, any number of times', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const [sniffer, seen] = await sniff(t, port)
  for (let round = 1; round <= 5; round += 1) {
    await ask(port, `/${round}`)
    await sniffer.stop()
    assert.equal(seen.messages.length, 2 * round)
    await sniffer.start()
    assert.equal(sniffer.isRunning(), true)
  }
})

test('starting what runs is refused, and it runs on', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const [sniffer, seen] = await sniff(t, port)
  assert.equal(code(await sniffer.start().catch((error: unknown) => error)), 'ALREADY_RUNNING')
  assert.equal(sniffer.isRunning(), true)
  await sniffer.stop()
  const both = await Promise.allSettled([sniffer.start(), sniffer.start()])
  assert.deepEqual(both.map(({ status }) => status), ['fulfilled', 'rejected'])
  await ask(port)
  await seen.until(2)
})

test('stop is safe when nothing runs, twice at once, and from the callback', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const never = createSniffer({ ports: [port], interface: 'lo' })
  await never.stop()
  await Promise.all([never.stop(), never.stop()])
  const [sniffer] = await sniff(t, port)
  await Promise.all([sniffer.stop(), sniffer.stop(), sniffer.stop()])
  assert.equal(sniffer.isRunning(), false)
  let stopped: Promise<void> | undefined
  const own = createSniffer({ ports: [port], interface: 'lo', onHttpMessage: () => (stopped ??= own.stop()) })
  await own.start()
  await ask(port)
  while (stopped === undefined) await new Promise(setImmediate)
  await stopped
})

test('calls take effect in their order', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const seen = new Seen()
  const sniffer = createSniffer({ ports: [port], interface: 'lo', onHttpMessage: seen.take })
  t.after(() => sniffer.stop())
  const [started, stopped] = [sniffer.start(), sniffer.stop()]
  let running: boolean | undefined
  await started.then(() => (running = sniffer.isRunning()))
  assert.equal(running, false, 'stop was called already')
  await stopped
  assert.equal(sniffer.isRunning(), false)
  await Promise.all([sniffer.start(), sniffer.stop(), sniffer.start(), sniffer.stop(), sniffer.start()])
  assert.equal(sniffer.isRunning(), true)
  await ask(port)
  await seen.until(2)
})

test('two at once see the same', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end('hello'))
  const [first, one] = await sniff(t, port)
  const [, two] = await sniff(t, port)
  await ask(port)
  await Promise.all([one.until(2), two.until(2)])
  const content = (seen: Seen): unknown[] => seen.messages.map(({ timestamp, connection, ...rest }) => ({ ...rest, latencyMs: 0 }))
  assert.deepEqual(content(one), content(two))
  await first.stop()
  await ask(port)
  await two.until(4)
  assert.equal(one.messages.length, 2)
})

test('an interface that is not there is refused with those that are', { skip }, async () => {
  const sniffer = createSniffer({ ports: [80], interface: 'nowhere0' })
  const error = await sniffer.start().catch((error: unknown) => error)
  assert.equal(code(error), 'INTERFACE_NOT_FOUND')
  assert.ok(error instanceof SnifferError)
  assert.ok(error.interfaces?.includes('lo'), String(error.interfaces))
  assert.match(error.message, /^there is no interface nowhere0; there are: .*\blo\b/)
  assert.equal(sniffer.isRunning(), false)
  assert.equal(code(await sniffer.start().catch((error: unknown) => error)), 'INTERFACE_NOT_FOUND')
  await sniffer.stop()
})

test('without rights it is refused in the words of libpcap, with a remedy', { skip }, async (t) => {
  const child = new Child(t, `
    process.setgroups([]); process.setgid(65534); process.setuid(65534)
    createSniffer({ ports: [80], interface: 'lo' }).start().catch((error) => {
      console.log(JSON.stringify({ class: error instanceof SnifferError, ...error, message: error.message }))
    })`)
  await child.ended
  const error = JSON.parse(child.out[0] ?? '{}') as Record<string, unknown>
  assert.deepEqual([error['class'], error['code']], [true, 'CAPTURE_OPEN_FAILED'])
  assert.match(String(error['message']), /permission|not permitted/i)
  assert.match(String(error['remedy']), /cap_net_raw/)
  assert.deepEqual(child.log.map(({ level, code }) => [level, code]), [['error', 'CAPTURE_OPEN_FAILED']])
})

test('a running sniffer keeps the process alive, a stopped one and a refused one do not', { skip }, async (t) => {
  const alive = new Child(t, `
    const sniffer = createSniffer({ ports: [80], interface: 'lo' })
    sniffer.start().then(() => { console.log('started'); setTimeout(() => sniffer.stop().then(() => console.log('stopped')), 300).unref() })
    process.on('exit', () => console.log('exit', sniffer.isRunning()))`)
  assert.deepEqual(await alive.ended, { code: 0, signal: null })
  assert.deepEqual(alive.out, ['started', 'stopped', 'exit false'], 'the timer was unref-ed: the sniffer alone kept it alive')
  const refused = new Child(t, `createSniffer({ ports: [80], interface: 'nowhere0' }).start().catch(() => {})`)
  const idle = new Child(t, `createSniffer({ ports: [80], onHttpMessage: () => {} })`)
  assert.deepEqual(await refused.ended, { code: 0, signal: null })
  assert.deepEqual(await idle.ended, { code: 0, signal: null })
})

test('a process may exit while it runs', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end('x'.repeat(1000)))
  const child = new Child(t, `
    const sniffer = createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: () => process.exit(7) })
    sniffer.start().then(() => console.log('started'))`)
  await child.printed('started')
  await ask(port)
  assert.deepEqual(await child.ended, { code: 7, signal: null })
})
