/**
 * The types, checked strictly: nothing here runs. The compiler must accept what is right and refuse
 * what is wrong.
 */
import {
  ConfigError, createSniffer, SnifferError,
  type Endpoint, type Headers, type HttpMessage, type HttpRequest, type HttpResponse, type Sniffer, type SnifferConfig, type SnifferErrorCode,
} from 'tcp-sniffer'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T | undefined => undefined

export function right(): void {
  const config: SnifferConfig = { ports: [8080] as const }
  const sniffer: Sniffer = createSniffer(config)
  is<Equal<ReturnType<typeof sniffer.start>, Promise<void>>>()
  is<Equal<ReturnType<typeof sniffer.stop>, Promise<void>>>()
  is<Equal<ReturnType<typeof sniffer.isRunning>, boolean>>()
  is<Equal<keyof Sniffer, 'start' | 'stop' | 'isRunning'>>()
  is<Equal<HttpMessage, HttpRequest | HttpResponse>>()
  is<Equal<SnifferErrorCode, 'INTERFACE_NOT_FOUND' | 'CAPTURE_OPEN_FAILED' | 'ALREADY_RUNNING' | 'OUTPUT_FAILED'>>()

  createSniffer({ ports: [80], onHttpMessage: async () => {} })
  createSniffer({ ports: [80], onHttpMessage: (message) => [message].push(message) })
  createSniffer({
    ports: [80],
    onHttpMessage(message) {
      is<Equal<typeof message, HttpMessage>>()
      const { ip, port }: Endpoint = message.receiver
      const headers: Headers = message.headers
      // `direction` distinguishes them.
      if (message.direction === 'request') void [ip, port, headers, message.method.length, message.path.length]
      else void [message.statusCode + 1, message.latencyMs?.toFixed(), message.reason?.length]
      is<Equal<typeof message.bodySize, number>>()
      if (message.incomplete === 'gap') void message.missingBytes
    },
  })
}

export function errors(error: unknown): void {
  if (error instanceof ConfigError) {
    is<Equal<typeof error.code, 'INVALID_CONFIG'>>()
    is<Equal<typeof error.field, string>>()
  }
  if (error instanceof SnifferError) {
    is<Equal<typeof error.code, SnifferErrorCode>>()
    void [error.interfaces?.includes('lo'), error.remedy?.length, error.message, error.stack]
    // @ts-expect-error read only
    error.code = 'ALREADY_RUNNING'
  }
}

export function wrong(message: HttpMessage): void {
  // @ts-expect-error ports are required
  createSniffer({})
  // @ts-expect-error a configuration is required
  createSniffer()
  // @ts-expect-error a list of numbers
  createSniffer({ ports: ['8080'] })
  // @ts-expect-error no such field
  createSniffer({ ports: [80], port: 80 })
  // @ts-expect-error null is no way to leave out
  createSniffer({ ports: [80], interface: null })
  // @ts-expect-error a function
  createSniffer({ ports: [80], onHttpMessage: 'log' })
  // @ts-expect-error of requests only
  void message.method
  // @ts-expect-error of responses only
  void message.statusCode
  // @ts-expect-error made by the package only
  new ConfigError()
  // @ts-expect-error made by the package only
  new SnifferError()
}
