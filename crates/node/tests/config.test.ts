/** Configurations that are refused: by field, with a sentence, and never by a crash. */
import * as assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, createSniffer, type SnifferConfig } from 'tcp-sniffer'
import { Child } from './kit'

/** Returns the error for a configuration that the types would not allow. */
function refused(config: unknown): ConfigError {
  try {
    createSniffer(config as SnifferConfig)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.ok(error instanceof Error)
    assert.equal(error.code, 'INVALID_CONFIG')
    assert.equal(error.name, 'ConfigError')
    assert.ok(error.message.startsWith(error.field), `${error.message} begins with ${error.field}`)
    return error
  }
  throw new assert.AssertionError({ message: 'it was taken' })
}

const throwing = (): never => {
  throw new Error('mine')
}

test('every field refuses what it cannot be, and says what came', () => {
  const nothings: [unknown, string][] = [
    [null, 'null'],
    [NaN, 'NaN'],
    [() => 1, 'a function'],
    [Symbol('s'), 'a symbol'],
    [10n, 'a bigint'],
    [new Date(0), 'an object'],
    [Object.create(null), 'an object'],
  ]
  const numbers: [unknown, string][] = [...nothings, ['1', '"1"'], [-1, '-1'], [Infinity, 'Infinity'], [true, 'true'], [[1], '[1]']]
  const integers: [unknown, string][] = [...numbers, [1.5, '1.5']]
  const texts: [unknown, string][] = [...nothings, [1, '1'], ['', '""'], [['lo'], '["lo"]']]
  const flags: [unknown, string][] = [...nothings, [1, '1'], ['true', '"true"']]
  const table: Record<string, [unknown, string][]> = {
    ports: [...nothings, [[], 'empty'], [8080, '8080'], ['8080', '"8080"'], [{ 0: 80, length: 1 }, 'an object'], [new Uint16Array([80]), 'an object']],
    interface: texts,
    outputUrl: [...texts, ['ftp://a', '"ftp://a"'], ['nonsense', '"nonsense"']],
    outputStdout: flags,
    sampleRate: [...numbers, [1.01, '1.01']],
    maxBodySize: integers,
    maxConcurrentConnections: [...integers, [0, '0']],
    connectionIdleTimeoutMs: [...integers, [0, '0']],
    redactHeaders: [...nothings, ['cookie', '"cookie"']],
    promiscuous: flags,
    bufferSizeBytes: [...integers, [0, '0'], [2 ** 31, '2147483648']],
    snaplen: [...integers, [0, '0'], [2 ** 31, '2147483648']],
    drainTimeoutMs: [...integers, [0, '0']],
    onHttpMessage: [[null, 'null'], [NaN, 'NaN'], ['log', '"log"'], [{}, 'an object'], [Promise.resolve(), 'an object']],
  }
  for (const [field, wrong] of Object.entries(table)) {
    for (const [value, shown] of wrong) {
      const error = refused({ ports: [80], [field]: value })
      assert.equal(error.field, field, `${field}: ${shown}: ${error.message}`)
      assert.ok(error.message.startsWith(`${field} is ${shown}; it must be `), error.message)
    }
  }
})

test('a list is refused for the part that is wrong', () => {
  const parts: [unknown, string][] = [
    [0, '0'], [65_536, '65536'], [80.5, '80.5'], ['80', '"80"'], [NaN, 'NaN'], [undefined, 'undefined'], [null, 'null'],
    [[80], 'a list'], [{}, 'an object'], [-80, '-80'],
  ]
  for (const [part, shown] of parts) {
    const error = refused({ ports: [443, part] })
    assert.equal(error.field, 'ports')
    assert.equal(error.message, `ports[1] is ${shown}; a port is an integer from 1 to 65535`)
  }
  assert.match(refused({ ports: [80], redactHeaders: ['cookie', 'not a name'] }).message, /^redactHeaders\[1\] is "not a name"; /)
  assert.match(refused({ ports: new Array(2 ** 32 - 1) }).message, /^ports is a list of 4294967295; /)
})

test('an unknown field names the nearest known one', () => {
  const near = { port: 'ports', Interface: 'interface', onHttpMesage: 'onHttpMessage', redactHeader: 'redactHeaders' }
  for (const [name, known] of Object.entries(near)) {
    const error = refused({ ports: [80], [name]: [80] })
    assert.deepEqual([error.field, error.message], [name, `${name} is not a field; did you mean ${known}?`])
  }
  const proto = refused(JSON.parse('{"ports": [80], "__proto__": {"ports": [81]}}'))
  assert.equal(proto.field, '__proto__')
  assert.equal(refused(Object.assign(Object.create({ snaplen: 1, sampelRate: 1 }), { ports: [80] })).field, 'sampelRate')
})

test('what is no object is refused as a whole', () => {
  for (const config of [undefined, null, 8080, 'lo', [8080], () => ({}), Symbol('s'), 1n]) {
    assert.equal(refused(config).field, 'config')
  }
  assert.equal(refused({}).message, 'ports is missing; it must be a list of one or more ports, each an integer from 1 to 65535')
})

test('code that runs while it is read may throw', () => {
  const getter = refused({ get ports() { return throwing() } })
  assert.deepEqual([getter.field, getter.message], ['ports', 'ports cannot be read: Error: mine'])
  assert.equal((getter.cause as Error).message, 'mine')
  const inList = refused({ ports: Object.defineProperty([80], 0, { get: throwing }) })
  assert.equal(inList.field, 'ports')
  class Inherited { ports = [80]; get interface() { return throwing() } }
  assert.equal(refused(new Inherited()).field, 'interface')
  assert.equal(refused(new Proxy({}, { ownKeys: throwing })).field, 'config')
  assert.equal(refused(new Proxy({ ports: [80] }, { get: throwing })).field, 'ports')
  assert.equal(refused({ ports: new Proxy([80], { get: throwing }) }).field, 'ports')
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  assert.equal(refused(proxy).field, 'config')
  assert.equal(refused({ ports: [80], snaplen: proxy }).field, 'snaplen')
  assert.equal(refused({ ports: [80], onHttpMessage: proxy }).field, 'onHttpMessage')
  assert.match(refused({ get ports() { throw { toString: throwing } } }).message, /^ports cannot be read: something/)
  assert.equal(refused({ ports: [80], interface: 'lo\ud800', [`a\ud800`]: 1 }).field, 'a\ufffd')
})

test('each field is read once', () => {
  const reads: Record<string, number> = {}
  const values: Record<string, unknown> = { ports: [80], interface: 'lo', onHttpMessage: () => {} }
  const counted = new Proxy(values, {
    get: (target, name) => {
      reads[String(name)] = (reads[String(name)] ?? 0) + 1
      return target[String(name)]
    },
  })
  createSniffer(counted as unknown as SnifferConfig)
  assert.deepEqual(reads, { ports: 1, interface: 1, onHttpMessage: 1 })
})

test('what is right is taken, undefined as left out', () => {
  class FromGetters {
    get ports() { return [80, 8080] as const }
    get maxBodySize() { return 0 }
  }
  const right: SnifferConfig[] = [
    { ports: [1, 65_535] },
    { ports: Object.freeze([80] as const), interface: undefined, onHttpMessage: undefined, sampleRate: 0 },
    { ports: [80], sampleRate: 0.5, redactHeaders: [], outputUrl: 'https://collector.example/in', drainTimeoutMs: 1 },
    Object.assign(Object.create(null) as SnifferConfig, { ports: [80] }),
    new FromGetters(),
  ]
  for (const config of right) assert.equal(createSniffer(config).isRunning(), false)
})

test('the environment decides what only it may', async (t) => {
  const script = `
    try { createSniffer({ ports: [80], outputUrl: 'http://collector.example/' }); console.log('taken') }
    catch (error) { console.log(error.field) }`
  const production = new Child(t, script, { env: { NODE_ENV: 'production' } })
  const token = new Child(t, script, { env: { OUTPUT_URL_AUTH_TOKEN: 'a\nb' } })
  const set = new Child(t, `process.env.NODE_ENV = 'production'; ${script}`)
  await Promise.all([production.ended, token.ended, set.ended])
  assert.deepEqual([production.out, token.out, set.out], [['outputUrl'], ['OUTPUT_URL_AUTH_TOKEN'], ['outputUrl']])
})

test('a refusal is in the log when the process ends of it', async (t) => {
  const child = new Child(t, `createSniffer({ ports: [NaN] })`)
  assert.deepEqual(await child.ended, { code: 1, signal: null })
  assert.equal(child.log.length, 1)
  const [{ timestamp, ...line }] = child.log as unknown as [Record<string, unknown>]
  assert.match(String(timestamp), /^20\d\d-/)
  assert.deepEqual(line, {
    level: 'error',
    message: 'ports[0] is NaN; a port is an integer from 1 to 65535',
    code: 'INVALID_CONFIG',
    field: 'ports',
  })
  assert.ok(child.other.some((text) => text.startsWith('ConfigError: ports[0] is NaN')), child.other.join('\n'))
})
