/** `require` and `import` give the same exports, and only those of the contract. */
import * as assert from 'node:assert/strict'
import { test } from 'node:test'
import required = require('tcp-sniffer')

test('both module systems load it, with the same objects', async () => {
  // Hidden from the compiler, which would turn it into a `require`.
  const imported = (await (new Function('return import("tcp-sniffer")') as () => Promise<Record<string, unknown>>)())
  const names = ['ConfigError', 'SnifferError', 'createSniffer']
  assert.deepEqual(Object.keys(required).sort(), names)
  assert.deepEqual(Object.keys(imported).sort(), names)
  for (const name of names) assert.equal(imported[name], (required as Record<string, unknown>)[name])
})

test('a sniffer has three methods', () => {
  const sniffer = required.createSniffer({ ports: [80] })
  assert.deepEqual(Object.keys(sniffer), [])
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(sniffer)).sort()
  assert.deepEqual(methods, ['constructor', 'isRunning', 'start', 'stop'])
})
