/** Messages in the callback: exactly the one shape, whatever was on the wire. */
import * as assert from 'node:assert/strict'
import * as http from 'node:http'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { HttpMessage, HttpRequest, HttpResponse } from 'tcp-sniffer'
import { ask, say, serve, skip, sniff } from './kit'

const requests = (messages: HttpMessage[]): HttpRequest[] => messages.filter((message) => message.direction === 'request')
const responses = (messages: HttpMessage[]): HttpResponse[] => messages.filter((message) => message.direction === 'response')

test('a request and its response', { skip }, async (t) => {
  const port = await serve(t, (_, response) => {
    response.writeHead(201, 'Made', { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'], 'x-twice': ['1', '2'] })
    response.end('grüße')
  })
  const [, seen] = await sniff(t, port)
  await ask(port, '/a?b=c', { method: 'POST', headers: { authorization: 'Bearer secret', 'x-mine': 'yes' } }, 'body')
  const [request, response] = (await seen.until(2)) as [HttpRequest, HttpResponse]
  assert.equal(Object.getPrototypeOf(request), Object.prototype)
  assert.deepEqual(
    { ...request, timestamp: '', connection: '', destination: { ...request.destination, port: 0 } },
    {
      timestamp: '',
      direction: 'request',
      receiver: { ip: '127.0.0.1', port },
      destination: { ip: '127.0.0.1', port: 0 },
      method: 'POST',
      path: '/a?b=c',
      httpVersion: '1.1',
      headers: {
        authorization: '[REDACTED]', 'x-mine': 'yes', host: `127.0.0.1:${port}`, connection: 'keep-alive', 'content-length': '4',
      },
      body: 'body',
      bodySize: 4,
      connection: '',
      exchange: 0,
    },
  )
  assert.deepEqual([response.statusCode, response.reason, response.body, response.bodySize], [201, 'Made', 'grüße', 7])
  assert.deepEqual(response.headers['set-cookie'], ['[REDACTED]', '[REDACTED]'])
  assert.deepEqual(response.headers['x-twice'], ['1', '2'])
  assert.deepEqual([response.connection, response.exchange, response.receiver], [request.connection, 0, request.receiver])
  assert.ok((response.latencyMs ?? -1) >= 0)
})

test('headers of any name arrive like any other and touch no prototype', { skip }, async (t) => {
  const port = await serve(t, (_, response) => response.end())
  const [, seen] = await sniff(t, port)
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '1', '0', 'length', 'then', 'toJSON']
  const fields = names.map((name) => `${name}: ${name}-value\r\n`).join('')
  await say(port, `GET / HTTP/1.1\r\nHost: a\r\n${fields}__proto__: again\r\nConnection: close\r\n\r\n`)
  const [{ headers }] = (await seen.until(1)) as [HttpRequest]
  assert.equal(Object.getPrototypeOf(headers), Object.prototype)
  for (const name of names) {
    const own = Object.getOwnPropertyDescriptor(headers, name.toLowerCase())
    const value = name === '__proto__' ? ['__proto__-value', 'again'] : `${name}-value`
    assert.deepEqual(own, { value, writable: true, enumerable: true, configurable: true }, name)
  }
  assert.equal(({} as Record<string, unknown>)['again'], undefined)
})

test('pipelined requests and their responses, in order', { skip }, async (t) => {
  const port = await serve(t, (request, response) => response.end(request.url))
  const [, seen] = await sniff(t, port)
  const one = (n: number, more = ''): string => `GET /${n} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
  await say(port, Array.from({ length: 9 }, (_, n) => one(n)).join('') + one(9, 'Connection: close\r\n'))
  const messages = await seen.until(20)
  const numbers = Array.from({ length: 10 }, (_, n) => n)
  assert.deepEqual(requests(messages).map(({ path, exchange }) => [path, exchange]), numbers.map((n) => [`/${n}`, n]))
  assert.deepEqual(responses(messages).map(({ body, exchange }) => [body, exchange]), numbers.map((n) => [`/${n}`, n]))
})

test('chunked both ways, with trailers', { skip }, async (t) => {
  const port = await serve(t, (request, response) => {
    request.resume().on('end', () => {
      response.setHeader('trailer', 'x-sum')
      response.write('one ')
      response.write('two')
      response.addTrailers({ 'x-sum': '7' })
      response.end()
    })
  })
  const [, seen] = await sniff(t, port)
  const request = http.request({ host: '127.0.0.1', port, method: 'PUT', headers: { 'transfer-encoding': 'chunked' } })
  request.write('a'.repeat(100))
  request.end('b')
  await new Promise((done) => request.on('response', (response) => response.resume().on('end', done)))
  const [sent, came] = (await seen.until(2)) as [HttpRequest, HttpResponse]
  assert.deepEqual([sent.body, sent.bodySize], ['a'.repeat(100) + 'b', 101])
  assert.deepEqual([came.body, came.bodySize, came.trailers], ['one two', 7, { 'x-sum': '7' }])
})

test('a keep-alive agent uses few connections; exchanges count on each', { skip }, async (t) => {
  const port = await serve(t, (request, response) => response.end(request.url))
  const [, seen] = await sniff(t, port)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 3 })
  t.after(() => agent.destroy())
  await Promise.all(Array.from({ length: 60 }, (_, n) => ask(port, `/${n}`, { agent })))
  const messages = await seen.until(120)
  const connections = new Map<string, number[]>()
  for (const { connection, exchange } of requests(messages)) {
    connections.set(connection, [...(connections.get(connection) ?? []), exchange])
  }
  assert.equal(connections.size, 3)
  for (const exchanges of connections.values()) assert.deepEqual(exchanges, exchanges.map((_, n) => n))
  const asked = new Map(requests(messages).map(({ connection, exchange, path }) => [`${connection} ${exchange}`, path]))
  for (const { connection, exchange, body } of responses(messages)) assert.equal(body, asked.get(`${connection} ${exchange}`))
})

test('bodies: binary, compressed, cut, text of every plane', { skip }, async (t) => {
  const binary = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
  const text = 'aé€😀\u2028"\\\u0000'
  const bodies: Record<string, [Buffer, http.OutgoingHttpHeaders]> = {
    '/binary': [binary, {}],
    '/gzip': [gzipSync(text), { 'content-encoding': 'gzip' }],
    '/long': [Buffer.from('x'.repeat(5000)), {}],
    '/text': [Buffer.from(text), {}],
  }
  const port = await serve(t, (request, response) => {
    const [body, headers] = bodies[request.url ?? ''] ?? [Buffer.alloc(0), {}]
    response.writeHead(200, headers).end(body)
  })
  const [, seen] = await sniff(t, port, { maxBodySize: 1000 })
  for (const target of Object.keys(bodies)) await ask(port, target)
  const [first, second, third, fourth] = responses(await seen.until(8))
  assert.deepEqual(Buffer.from(first?.body ?? '', 'base64'), binary)
  assert.equal(first?.bodyEncoding, 'base64')
  assert.deepEqual([second?.body, second?.contentDecoded, second?.bodySize], [text, true, bodies['/gzip']?.[0].length])
  assert.deepEqual([third?.body?.length, third?.bodyTruncated, third?.bodySize], [1000, true, 5000])
  assert.equal(fourth?.body, text)
})
