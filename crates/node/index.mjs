// The same objects for `import` as for `require`, so that `instanceof` holds whoever loaded it.
import api from './dist/index.js'

export const { createSniffer, ConfigError, SnifferError } = api
