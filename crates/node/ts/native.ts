/**
 * Finds and loads the native half: next to this package if it was built here, else in the package
 * of this platform. An error says what to do. No other file knows the names of binaries.
 */
import path = require('node:path')

/** The exports of `crates/node/src`. */
export interface Addon {
  fields(): string[]
  create(
    values: string,
    withCallback: boolean,
    environment: (name: string) => string | undefined,
  ): Native | { field: string; message: string }
  logRefusal(field: string, message: string): void
  logFailure(message: string): void
}

export interface Native {
  start(notify: (what: 'started' | 'refused' | 'ready' | 'ended', particulars: string) => void): void
  requestStop(): void
  isRunning(): boolean
  take(): string | null
  settle(count: number): boolean
}

/**
 * The platform's name, as the tools of napi-rs write it: `linux-x64-gnu`, `linux-arm64-musl`,
 * `darwin-arm64`.
 */
function platform(): string {
  const { platform, arch } = process
  if (platform !== 'linux') return `${platform}-${arch}`
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return `linux-${arch}-${report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`
}

function load(): Addon {
  const name = platform()
  const places = [path.join(__dirname, '..', `tcp-sniffer.${name}.node`), `tcp-sniffer-${name}`]
  for (const place of places) {
    try {
      return require(place) as Addon
    } catch (error) {
      // A missing file is no error yet, but one that cannot be loaded is.
      if (!isMissing(error, place)) throw explained(error)
    }
  }
  throw new Error(
    `tcp-sniffer has no binary for ${name}. If dependencies were installed without optional ones (npm --omit=optional), ` +
      `install tcp-sniffer-${name}; else build it from source: README.md of the package, "Build from source".`,
  )
}

function isMissing(error: unknown, place: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'MODULE_NOT_FOUND' && message.includes(place)
}

/** The loader's words, with advice if the missing library is libpcap. */
export function explained(error: unknown): Error {
  const words = error instanceof Error ? error.message : String(error)
  const soname = /libpcap[\w.]*/.exec(words)?.[0]
  if (soname === undefined) return new Error(`tcp-sniffer cannot be loaded: ${words}`, { cause: error })
  return new Error(
    `tcp-sniffer needs ${soname}, which is not here (${words}). Install libpcap: ` +
      'Debian, Ubuntu: apt-get install libpcap0.8 (or libpcap0.8t64); Fedora, RHEL: dnf install libpcap; ' +
      'Alpine: apk add libpcap. Debian calls it libpcap.so.0.8, others libpcap.so.1: a binary built on one needs a link of ' +
      'that name, or to be built anew, on the other.',
    { cause: error },
  )
}

export const addon: Addon = load()
