/** The same message on every output: callback, webhook, standard output. */
import * as assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, Child, say, serve, skip } from './kit'

test('callback, webhook and standard output give the same', { skip }, async (t) => {
  const posts: { headers: NodeJS.Dict<string | string[]>; body: string }[] = []
  const collector = await serve(t, (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => (body += part)).on('end', () => {
      posts.push({ headers: request.headers, body })
      response.end()
    })
  })
  const port = await serve(t, (request, response) => {
    response.writeHead(200, { 'set-cookie': 'a=1', 'x-odd': '\u00e9' }).end(request.url === '/binary' ? Buffer.from([0, 255, 10]) : 'text 😀')
  })
  // The callback writes to another pipe, so that standard output has only the sniffer's lines.
  const child = new Child(t, `
    const sniffer = createSniffer({
      ports: [${port}], interface: 'lo', outputStdout: true, outputUrl: 'http://127.0.0.1:${collector}/in',
      onHttpMessage: (message) => process.stderr.write('message ' + JSON.stringify(message) + '\\n'),
    })
    sniffer.start()`, { env: { OUTPUT_URL_AUTH_TOKEN: 'open-sesame' } })
  await child.until('it started', () => child.log.some(({ message }) => message === 'started'))
  await ask(port, '/text', { headers: { cookie: 'secret=1' } })
  await ask(port, '/binary', { method: 'POST' }, 'sent')
  await say(port, 'GET /raw HTTP/1.1\r\nHost: a\r\n__proto__: p\r\nx-two: 1\r\nx-two: 2\r\nConnection: close\r\n\r\n')
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGTERM' })

  const called = child.other.filter((line) => line.startsWith('message ')).map((line) => line.slice('message '.length))
  assert.equal(called.length, 6)
  assert.deepEqual(called, child.out, 'a line of standard output is the JSON of what the callback got')
  assert.deepEqual(posts.map(({ body }) => body).toSorted(), called.toSorted(), 'order is kept per connection only')
  for (const { headers } of posts) {
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['authorization'], 'Bearer open-sesame')
    assert.equal(headers['sniffer-schema'], '1')
  }
  assert.ok(!JSON.stringify(child.log).includes('sesame'))
})

test('a log and standard output survive pipes that Node made non-blocking', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end('x'.repeat(60_000)))
  const child = new Child(t, `
    // Node opens its pipes when they are first used, and leaves them non-blocking.
    console.log('started soon'); console.error('here too')
    const sniffer = createSniffer({ ports: [${port}], interface: 'lo', outputStdout: true })
    sniffer.start().then(() => console.log('started'))`)
  await child.printed('started')
  // More than a pipe holds, while no one reads it.
  child.process.stdout?.pause()
  for (let n = 0; n < 10; n += 1) await ask(port)
  child.process.stdout?.resume()
  child.process.kill('SIGTERM')
  await child.ended
  const messages = child.out.filter((line) => line.startsWith('{'))
  assert.equal(messages.length, 20)
  for (const line of messages) assert.doesNotThrow(() => JSON.parse(line) as unknown)
  assert.deepEqual(child.log.map(({ message }) => message).slice(0, 1), ['started'])
  assert.equal(child.log.at(-1)?.message, 'stopped')
})
