/** HTTP messages from a network interface, in a callback. Capture only: it never binds, proxies, injects or answers. */

/** One side of a connection. */
export interface Endpoint {
  /** IPv4 or IPv6 address, as text. */
  ip: string
  /** 0–65535. */
  port: number
}

/** Names in lower case, in order of first appearance; an array where a name came more than once, in wire order. */
export type Headers = Record<string, string | string[]>

/** What requests and responses share. A key without a value is left out, never `null`. */
interface MessageBase {
  /**
   * RFC 3339, UTC: when the frame that carried the message's first byte was captured. 6 digits of a second, 9 where the
   * capture is finer than a microsecond.
   */
  timestamp: string
  /** The **server** side of the connection, in both directions. */
  receiver: Endpoint
  /** The **client** side of the connection, in both directions. */
  destination: Endpoint
  /** `"1.0"` or `"1.1"`; others may come. */
  httpVersion: '1.0' | '1.1' | (string & {})
  /** A header may have any name, `__proto__` too: ask with `Object.hasOwn`, or go through `Object.entries`. */
  headers: Headers
  /** Of a chunked body, when it had some. */
  trailers?: Headers
  /** The content as text when it is UTF-8, else base64 (see `bodyEncoding`). Content-encodings are undone. */
  body?: string
  /** Only when `body` is base64: `Buffer.from(body, 'base64')`. */
  bodyEncoding?: 'base64' | (string & {})
  /** Bytes of the body on the wire after de-chunking, whether kept or not. */
  bodySize: number
  /** `body` was un-gzipped, un-deflated, un-brotlied or un-zstd'ed; `bodySize` still counts bytes on the wire. */
  contentDecoded?: true
  /** `body` was cut by `maxBodySize`. */
  bodyTruncated?: true
  /**
   * The message was cut: bytes are missing from the capture (`gap`), packets were captured in part
   * (`snaplen`), its connection ended (`closed`), was evicted (`evicted`) or timed out (`idle`), or
   * the sniffer was stopped (`end`).
   */
  incomplete?: 'gap' | 'snaplen' | 'closed' | 'evicted' | 'idle' | 'end' | (string & {})
  /** Bytes of the body known to be missing; `body` is what stands before the first hole. */
  missingBytes?: number
  /** Names of what was odd about it, such as `bare-lf`; SUPPORTED.md of the project lists them. */
  anomalies?: string[]
  /** Stable id of the connection. */
  connection: string
  /** 0, 1, 2… on its connection; a request and all its responses share it. */
  exchange: number
}

/** Client to server. */
export interface HttpRequest extends MessageBase {
  direction: 'request'
  /** Any token, as it was sent. */
  method: string
  /** The request-target verbatim, query included. */
  path: string
}

/** Server to client. */
export interface HttpResponse extends MessageBase {
  direction: 'response'
  /** 1xx are messages of their own. */
  statusCode: number
  /** The reason phrase, when there was one. */
  reason?: string
  /** Of a final response, in milliseconds: from the request's last byte to the response's first. */
  latencyMs?: number
}

/**
 * An HTTP message; `direction` distinguishes requests from responses. It only ever grows: accept
 * keys that you do not know.
 */
export type HttpMessage = HttpRequest | HttpResponse

/** What to capture, and where it goes. A field that is `undefined` counts as left out; an unknown one is an error. */
export interface SnifferConfig {
  /** Server ports to watch: one or more, each an integer 1–65535. */
  ports: readonly number[]
  /** Where to capture; must exist at start. Default: `any` on Linux, which is all interfaces; elsewhere required. */
  interface?: string | undefined
  /**
   * Post every message to this http or https URL, as JSON. Where `NODE_ENV` is `production`, https only. A bearer token comes
   * from the environment variable `OUTPUT_URL_AUTH_TOKEN` and from nowhere else.
   */
  outputUrl?: string | undefined
  /** Write every message to standard output, a JSON line each. Default: false. */
  outputStdout?: boolean | undefined
  /**
   * Called with every message, one at a time, in order. What it throws, or what its promise is rejected with, is logged, and
   * nothing else happens. A promise is not waited for. When it is slower than the messages, the newest are dropped, counted
   * and logged.
   */
  onHttpMessage?: ((message: HttpMessage) => void) | undefined
  /** Fraction of connections to follow, 0–1; the same for both directions and on every machine. Default: 1. */
  sampleRate?: number | undefined
  /** Bytes of each body to keep; the rest is counted only. An integer, 0 or more. Default: 1 048 576. */
  maxBodySize?: number | undefined
  /**
   * Connections followed at once; over the limit, the least recently active is evicted. An integer,
   * 1 or more. Default: 10 000.
   */
  maxConcurrentConnections?: number | undefined
  /**
   * Milliseconds without packets after which a connection times out. An integer, 1 or more.
   * Default: 300 000.
   */
  connectionIdleTimeoutMs?: number | undefined
  /**
   * Headers and trailers whose values become `[REDACTED]`, in either case. Replaces the default, `authorization`, `cookie`,
   * `proxy-authorization` and `set-cookie`; `[]` turns it off. Paths and bodies are not looked at.
   */
  redactHeaders?: readonly string[] | undefined
  /** Ask the interface for packets that are not for this host. Default: false. */
  promiscuous?: boolean | undefined
  /** The kernel's buffer for packets, in bytes, 1–2 147 483 647. Default: 33 554 432. */
  bufferSizeBytes?: number | undefined
  /** Bytes of each packet to capture, 1–2 147 483 647. Default: 262 144. */
  snaplen?: number | undefined
  /** Milliseconds that outputs may take at stop; the rest is dropped, counted and logged. 1 or more. Default: 10 000. */
  drainTimeoutMs?: number | undefined
}

/** A live sniffer. Calls take effect in the order in which they are made. */
export interface Sniffer {
  /**
   * Resolves when the capture is open. A running sniffer keeps the process alive; on SIGTERM and SIGINT it stops, drains,
   * and raises the signal again when nobody else listens to it.
   *
   * Rejects with a {@link SnifferError}, and can be called again then.
   */
  start(): Promise<void>
  /**
   * Stops the capture, gives what was captured to every output, and resolves when all is over, within `drainTimeoutMs`. Safe
   * when stopped, safe twice at once; `start` works again afterwards.
   */
  stop(): Promise<void>
  /** Whether it captures: true from when `start` resolves until `stop` is called, or until the capture ends by itself. */
  isRunning(): boolean
}

/**
 * A sniffer that does not run yet.
 *
 * @throws {ConfigError} The first field that is wrong; it has been logged.
 * @example
 * const sniffer = createSniffer({ ports: [8080], onHttpMessage: (message) => console.log(message) })
 * await sniffer.start()
 */
export function createSniffer(config: SnifferConfig): Sniffer

/** A configuration that is refused. Its message names the field, what came and what is allowed. */
export class ConfigError extends Error {
  readonly name: 'ConfigError'
  readonly code: 'INVALID_CONFIG'
  /** The field that is wrong; `config` when it is all of it. */
  readonly field: string
  /** Use {@link createSniffer}, which throws them. */
  private constructor()
}

/**
 * - `INTERFACE_NOT_FOUND`: there is no interface of this name; `interfaces` lists those there are.
 * - `CAPTURE_OPEN_FAILED`: libpcap cannot open it; `message` is libpcap's exact words, `remedy` what helps, where known.
 * - `ALREADY_RUNNING`: it runs already.
 * - `OUTPUT_FAILED`: an output cannot be opened.
 */
export type SnifferErrorCode = 'INTERFACE_NOT_FOUND' | 'CAPTURE_OPEN_FAILED' | 'ALREADY_RUNNING' | 'OUTPUT_FAILED'

/** A start that failed; it has been logged, and nothing runs. */
export class SnifferError extends Error {
  readonly name: 'SnifferError'
  readonly code: SnifferErrorCode
  /** With `INTERFACE_NOT_FOUND`: the interfaces there are. */
  readonly interfaces?: readonly string[]
  /** What helps, where that is known. */
  readonly remedy?: string
  /** Use {@link Sniffer.start}, which rejects with them. */
  private constructor()
}
