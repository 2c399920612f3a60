// Measures what a message costs on its way into JavaScript. It needs no network and no rights:
// messages come from memory as fast as they are taken, over the bridge that sniffers use.
//
//   npm run bench                    medians of five rounds, 1 KiB of JSON a message
//   npm run bench -- --memory        10 million messages; the resident memory must not grow
//
// Prints messages per second into a trivial callback; the same messages as objects built through
// Node-API, one call each ("bare"); and JSON.parse of the same text alone, which is the floor.
// Ratios are comparable between machines.
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

const require = createRequire(import.meta.url)
const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const build = path.join(folder, 'build')
const addon = require(path.join(build, readdirSync(build).find((name) => name.endsWith('.node'))))
const { Delivery } = require(path.join(folder, 'dist', 'delivery.js'))

/** A body that makes the message's JSON 1 KiB. */
const BODY = 1024 - (addon.sample(0).length + ',"body":""'.length)

/**
 * Seconds that a function takes, and CPU seconds of all threads, which a busy machine does not
 * change.
 */
async function timed(what) {
  const [from, cpu] = [performance.now(), process.cpuUsage()]
  await what()
  const { user, system } = process.cpuUsage(cpu)
  return { seconds: (performance.now() - from) / 1000, cpu: (user + system) / 1e6 }
}

/** Messages through the bridge into a callback. */
async function bridge(count, callback) {
  const feeder = new addon.Feeder()
  const delivery = new Delivery(feeder, callback, addon)
  const alive = setInterval(() => {}, 1000)
  await new Promise((ended) => feeder.start(count, BODY, (what) => (what === 'ended' ? ended() : delivery.ready())))
  clearInterval(alive)
}

/** The same messages as objects, built through Node-API one by one. */
function bare(count, callback) {
  addon.bare(count, BODY, callback)
}

/** The floor: the text exists already. */
function parse(count, callback) {
  const text = `[${Array(256).fill(addon.sample(BODY)).join(',')}]`
  for (let done = 0; done < count; done += 256) JSON.parse(text).forEach(callback)
}

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1]

async function cost() {
  const ways = { bridge: [bridge, 400_000], bare: [bare, 100_000], parse: [parse, 400_000] }
  let [calls, bytes] = [0, 0]
  const trivial = (message) => {
    calls += 1
    bytes += message.bodySize
  }
  const found = {}
  for (const [name, [way, count]] of Object.entries(ways)) {
    const rounds = []
    // The first round warms up.
    for (let round = 0; round < 6; round += 1) {
      calls = 0
      rounds.push(await timed(() => way(count, trivial)))
      if (calls < count) throw new Error(`${name}: only ${calls} calls`)
    }
    const of = (key) => median(rounds.slice(1).map((round) => round[key])) / count
    found[name] = { rate: Math.round(1 / of('seconds')), cpu: of('cpu') * 1e6 }
  }
  const say = (what, { rate, cpu }) =>
    console.log(`${what.padEnd(28)}${String(rate).padStart(8)} messages/s${cpu.toFixed(2).padStart(8)} µs of CPU a message`)
  console.log(`a message is ${addon.sample(BODY).length} bytes of JSON`)
  say('into the callback', found.bridge)
  say('bare Node-API, one by one', found.bare)
  say('JSON.parse alone', found.parse)
  console.log(`into the callback / bare: ${(found.bridge.rate / found.bare.rate).toFixed(2)} in messages/s`)
}

async function memory() {
  const step = 1_000_000
  let calls = 0
  const resident = []
  for (let done = 0; done < 10; done += 1) {
    await bridge(step, () => (calls += 1))
    resident.push(process.memoryUsage.rss() >> 20)
    console.log(`${calls} messages: ${resident.at(-1)} MiB resident`)
  }
  const growth = resident.at(-1) - resident[1]
  console.log(`growth from 2 to 10 million: ${growth} MiB`)
  // A leak of 4 bytes per message would show.
  if (calls !== 10 * step || growth > 30) process.exitCode = 1
}

await (process.argv.includes('--memory') ? memory() : cost())
