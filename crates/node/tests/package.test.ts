/** The package as users get it: packed, in an empty folder, with the example of its README. */
import * as assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { test, type TestContext } from 'node:test'
import { ask, Child, PACKAGE, serve, skip } from './kit'

const run = (folder: string, program: string, ...args: string[]): string => execFileSync(program, args, { cwd: folder, encoding: 'utf8' })

/** An empty folder with the packed package installed. The package was built before. */
function installed(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tcp-sniffer-'))
  t.after(() => rmSync(folder, { recursive: true }))
  run(PACKAGE, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder)
  const [tarball] = readdirSync(folder)
  writeFileSync(path.join(folder, 'package.json'), '{}')
  run(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${tarball}`)
  return folder
}

test('the package installs and runs in an empty folder, with nothing in it that is not for users', { skip }, async (t) => {
  const folder = installed(t)
  const inside = readdirSync(path.join(folder, 'node_modules', 'tcp-sniffer')).sort()
  const allowed = /^(README\.md|LICENSE-.*|dist|index\.(mjs|d\.ts|d\.mts)|package\.json|tcp-sniffer\.[a-z0-9-]+\.node)$/
  assert.deepEqual(inside.filter((name) => !allowed.test(name)), [])
  assert.ok(inside.some((name) => name.endsWith('.node')))
  const port = await serve(t, (_, response) => response.end('hello'))
  const child = new Child(t, `
    createSniffer({ ports: [${port}], interface: 'lo', onHttpMessage: ({ body }) => console.log(body) }).start().then(() => console.log('started'))`,
    { cwd: folder })
  await child.printed('started')
  await ask(port)
  await child.printed('hello')
  child.process.kill('SIGTERM')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGTERM' })
})

test('a binary that cannot be loaded, or is not there, is told with what helps', async (t) => {
  const folder = installed(t)
  const inside = path.join(folder, 'node_modules', 'tcp-sniffer')
  const binary = path.join(inside, readdirSync(inside).find((name) => name.endsWith('.node')) ?? '')
  const said = async (): Promise<string> => {
    const child = new Child(t, '', { cwd: folder })
    assert.deepEqual(await child.ended, { code: 1, signal: null })
    return child.other.find((line) => line.startsWith('Error: tcp-sniffer')) ?? child.other.join('\n')
  }
  // As on a system without libpcap: a library name of the same length that does not exist.
  const bytes = readFileSync(binary)
  for (const name of ['libpcap.so.0.8', 'libpcap.so.1']) {
    const at = bytes.indexOf(name)
    if (at >= 0) bytes.write('libpcap.so.9'.padEnd(name.length, '9'), at)
  }
  writeFileSync(binary, bytes)
  assert.match(await said(), /^Error: tcp-sniffer needs libpcap\.so\.9+, which is not here .* apt-get install libpcap0\.8 .* apk add libpcap/)
  writeFileSync(binary, 'not a library')
  assert.match(await said(), /^Error: tcp-sniffer cannot be loaded: /)
  rmSync(binary)
  assert.match(await said(), /^Error: tcp-sniffer has no binary for \w+-\w+.*README\.md/)
})

test('a package of the platform is used where there is no binary beside', async (t) => {
  const folder = installed(t)
  const modules = path.join(folder, 'node_modules')
  const inside = path.join(modules, 'tcp-sniffer')
  const file = readdirSync(inside).find((name) => name.endsWith('.node')) ?? ''
  // As `napi create-npm-dirs` lays it out.
  const platform = `tcp-sniffer-${file.split('.')[1]}`
  mkdirSync(path.join(modules, platform))
  renameSync(path.join(inside, file), path.join(modules, platform, file))
  writeFileSync(path.join(modules, platform, 'package.json'), JSON.stringify({ name: platform, version: '0.1.0', main: file }))
  const child = new Child(t, `console.log(createSniffer({ ports: [80] }).isRunning())`, { cwd: folder })
  assert.deepEqual(await child.ended, { code: 0, signal: null }, child.other.join('\n'))
  assert.deepEqual(child.out, ['false'])
})

test('the types of the package hold for both module systems', (t) => {
  const folder = installed(t)
  const use = `
    import { createSniffer, ConfigError, type HttpMessage } from 'tcp-sniffer'
    export const direction = (message: HttpMessage): 'request' | 'response' => message.direction
    export const make = () => createSniffer({ ports: [80] }).isRunning()
    export const is = (error: unknown): string => error instanceof ConfigError ? error.field : ''
  `
  writeFileSync(path.join(folder, 'use.mts'), use)
  writeFileSync(path.join(folder, 'use.cts'), use)
  const tsc = path.join(PACKAGE, 'node_modules', 'typescript', 'bin', 'tsc')
  for (const [module, resolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']] as const) {
    const options = ['--strict', '--noEmit', '--target', 'es2022', '--module', module, '--moduleResolution', resolution]
    run(folder, process.execPath, tsc, ...options, 'use.mts', ...(module === 'nodenext' ? ['use.cts'] : []))
  }
})

test('the example of the README does what it says', { skip }, async (t) => {
  const readme = readFileSync(path.join(PACKAGE, 'README.md'), 'utf8')
  const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? ''
  assert.ok(example.trim().split('\n').filter((line) => line.trim()).length <= 10, 'it has ten lines')
  const port = await serve(t, (_, response) => response.end('hello'))
  const folder = installed(t)
  assert.ok(example.includes('8080'))
  writeFileSync(path.join(folder, 'example.mts'), example.replace('8080', String(port)))
  const tsc = path.join(PACKAGE, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--strict', '--types', 'node', '--typeRoots', path.join(PACKAGE, 'node_modules', '@types')]
  run(folder, process.execPath, tsc, ...options, '--target', 'es2022', '--module', 'nodenext', 'example.mts')
  const child = new Child(t, `import('./example.mjs')`, { cwd: folder })
  await child.until('it started', () => child.log.some(({ message }) => message === 'started'))
  await ask(port, '/a?b')
  await child.printed('200 hello')
  child.process.kill('SIGINT')
  assert.deepEqual(await child.ended, { code: null, signal: 'SIGINT' })
  assert.deepEqual(child.out, ['GET /a?b', '200 hello'])
})

test('every field and every code is in the README', () => {
  const readme = readFileSync(path.join(PACKAGE, 'README.md'), 'utf8')
  const types = readFileSync(path.join(PACKAGE, 'index.d.ts'), 'utf8')
  const config = /interface SnifferConfig \{([^]*?)\n\}/.exec(types)?.[1] ?? ''
  const fields = [...config.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name as string)
  assert.equal(fields.length, 14)
  const table = [...readme.matchAll(/^\| `(\w+)` \| /gm)].map(([, name]) => name)
  assert.deepEqual(fields.filter((name) => !table.includes(name)), [])
  for (const [, code] of types.matchAll(/^ \* - `([A-Z_]+)`/gm)) assert.ok(readme.includes(`\`${code}\``), code)
})
