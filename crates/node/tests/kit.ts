/**
 * Shared by the tests: traffic over loopback, messages to wait for, child processes with their
 * logs.
 */
import * as assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as net from 'node:net'
import * as path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import Ajv from 'ajv/dist/2020'
import { createSniffer, type HttpMessage, type Sniffer, type SnifferConfig } from 'tcp-sniffer'

/** The folder of the package. */
export const PACKAGE = path.join(__dirname, '..', '..')

/** Why tests that capture are skipped, for `skip`; as root they never are. */
export const skip = process.getuid?.() === 0 ? false : 'needs capture rights: run it as root (cargo xtask test does)'

const schema = JSON.parse(readFileSync(path.join(PACKAGE, '..', '..', 'message.schema.json'), 'utf8')) as object
const valid = new Ajv({ strictTypes: false }).compile(schema)

/** Messages as they come, each checked against the schema. */
export class Seen {
  readonly messages: HttpMessage[] = []
  #waiting: (() => void)[] = []

  readonly take = (message: HttpMessage): void => {
    assert.ok(valid(message), JSON.stringify([valid.errors, message]))
    this.messages.push(message)
    this.#waiting.splice(0).forEach((wake) => wake())
  }

  /** Resolves once there are this many. */
  async until(count: number): Promise<HttpMessage[]> {
    while (this.messages.length < count) await new Promise<void>((wake) => this.#waiting.push(wake))
    return this.messages
  }
}

/** Starts a server on loopback for the time of the test; returns its port. */
export async function serve(t: TestContext, handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

/** Starts a sniffer on loopback, which stops when the test ends. */
export async function sniff(t: TestContext, port: number, more: Partial<SnifferConfig> = {}): Promise<[Sniffer, Seen]> {
  const seen = new Seen()
  const sniffer = createSniffer({ ports: [port], interface: 'lo', onHttpMessage: seen.take, ...more })
  t.after(() => sniffer.stop())
  await sniffer.start()
  return [sniffer, seen]
}

/** Sends a request; returns the response as text. */
export async function ask(port: number, target = '/', options: http.RequestOptions = {}, body?: string | Buffer): Promise<string> {
  const request = http.request({ host: '127.0.0.1', port, path: target, ...options })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

/**
 * Sends bytes on a new connection; resolves with all bytes that came back until the server closed
 * it.
 */
export async function say(port: number, bytes: string | Buffer): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(bytes)
  let heard = ''
  for await (const part of socket) heard += String(part)
  return heard
}

/** A line of the log. */
export type Line = Record<string, unknown> & { level: string; message: string }

/**
 * A child process of Node that runs a text. It has `createSniffer`, and its folder is that of the
 * package.
 */
export class Child {
  readonly process: ChildProcess
  readonly out: string[] = []
  readonly log: Line[] = []
  /** Lines on stderr that are not log lines: Node's own. */
  readonly other: string[] = []
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  #waiting: (() => void)[] = []
  #over = false

  constructor(t: TestContext, script: string, options: { args?: string[]; env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    const text = `const { createSniffer, ConfigError, SnifferError } = require('tcp-sniffer');\n${script}`
    this.process = spawn(process.execPath, ['-e', text, ...(options.args ?? [])], {
      cwd: options.cwd ?? PACKAGE,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => this.process.kill('SIGKILL'))
    const { stdout, stderr } = this.process
    assert.ok(stdout && stderr)
    createInterface(stdout).on('line', (line) => this.#came(() => this.out.push(line)))
    createInterface(stderr).on('line', (line) => this.#came(() => this.#said(line)))
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.#came(() => (this.#over = true))
      return { code, signal } as { code: number | null; signal: NodeJS.Signals | null }
    })
  }

  #said(line: string): void {
    if (line.startsWith('{"timestamp":')) this.log.push(JSON.parse(line) as Line)
    else this.other.push(line)
  }

  #came(put: () => void): void {
    put()
    this.#waiting.splice(0).forEach((wake) => wake())
  }

  /** Resolves once the condition holds; fails if the child ends before. */
  async until(what: string, so: () => boolean): Promise<void> {
    while (!so()) {
      assert.ok(!this.#over, `it ended before ${what}:\n${[...this.out, ...this.other].join('\n')}\n${JSON.stringify(this.log)}`)
      await new Promise<void>((wake) => this.#waiting.push(wake))
    }
  }

  /** Resolves once the child printed this line. */
  async printed(line: string): Promise<void> {
    await this.until(`it printed ${line}`, () => this.out.includes(line))
  }
}
