/**
 * In worker threads it works as in the main thread, except for signals, which workers do not get.
 */
import * as assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ask, Child, PACKAGE, serve, skip } from './kit'

/** A worker that posts the messages it sees. */
function worker(port: number): Worker {
  const script = `
    const { parentPort } = require('node:worker_threads')
    const { createSniffer } = require(${JSON.stringify(PACKAGE)})
    const sniffer = createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: ({ direction }) => parentPort.postMessage(direction) })
    parentPort.once('message', async () => { await sniffer.stop(); parentPort.postMessage('stopped') })
    sniffer.start().then(() => parentPort.postMessage('started'))`
  return new Worker(script, { eval: true })
}

const next = async (from: Worker): Promise<unknown> => ((await once(from, 'message')) as unknown[])[0]

test('a worker sniffs, stops, and ends by itself', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const one = worker(port)
  assert.equal(await next(one), 'started')
  const said: unknown[] = []
  one.on('message', (message) => said.push(message))
  await ask(port)
  one.postMessage('stop')
  const [code] = (await once(one, 'exit')) as [number]
  assert.equal(code, 0)
  assert.deepEqual(said, ['request', 'response', 'stopped'])
})

test('a worker may be terminated while it sniffs, again and again', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end('x'.repeat(10_000)))
  const child = new Child(t, `
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const script = \`
      const { parentPort } = require('node:worker_threads')
      const { createSniffer } = require('tcp-sniffer')
      createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: () => parentPort.postMessage('message') })
        .start().then(() => parentPort.postMessage('started'))\`
    ;(async () => {
      for (let round = 0; round < 10; round += 1) {
        const workers = [1, 2].map(() => new Worker(script, { eval: true }))
        await Promise.all(workers.map((worker) => once(worker, 'message')))
        await fetch('http://127.0.0.1:${port}/').then((answer) => answer.text())
        await once(workers[0], 'message')
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      console.log('survived')
    })()`)
  assert.deepEqual(await child.ended, { code: 0, signal: null }, child.other.join('\n'))
  assert.deepEqual(child.out, ['survived'])
})

test('beside a worker the main thread sniffs, and its signals are its own', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const child = new Child(t, `
    const { Worker } = require('node:worker_threads')
    const make = "require('tcp-sniffer').createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: ({ direction }) => console.log(direction) }).start()"
    const worker = new Worker(make + ".then(() => console.log('worker'))", { eval: true })
    eval(make).then(() => console.log('main'))`)
  await Promise.all([child.printed('main'), child.printed('worker')])
  await ask(port)
  await child.until('both saw both', () => child.out.length === 6)
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGTERM' })
})
