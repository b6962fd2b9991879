// @ts-check
// fetch by way of the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name; Node 20's own fetch does
// not read them. lib/weights takes it from here too: an installation has no compiled lib/ yet.

import { SetupError } from './setup-error.mjs'

/**
 * Small letters come first, as in curl; https without a proxy of its own takes the one for http.
 * @param {string} url
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function fetchThroughProxy(url, init) {
  const httpProxy = proxyNamed('HTTP_PROXY')
  const httpsProxy = proxyNamed('HTTPS_PROXY') || httpProxy
  const noProxy = process.env.no_proxy ?? process.env.NO_PROXY ?? ''
  // Loaded here, since most commands fetch nothing.
  const { EnvHttpProxyAgent, fetch } = await import('undici')
  // Proxies refuse a tunnel to port 80; an http address is asked of them by its whole URL.
  const options = { httpProxy, httpsProxy, noProxy, proxyTunnel: false }
  /** @type {any} Node's own types are those of an older undici. */
  const request = { ...init, dispatcher: new EnvHttpProxyAgent(options) }
  return /** @type {any} */ (fetch(url, request))
}

/** Its value, '' for none. @param {string} capitals @throws {SetupError} */
function proxyNamed(capitals) {
  const small = capitals.toLowerCase()
  const name = process.env[small] === undefined ? capitals : small
  const value = process.env[name] ?? ''
  if (value !== '' && !isProxy(value)) {
    // The value may hold a password.
    throw new SetupError(
      `mcloss: the variable ${name} is not the address of an HTTP proxy: expected ` +
        'http://host:port or http://user:password@host:port, special characters as %XX. Set it so, ' +
        'or unset it.',
    )
  }
  return value
}

/** @param {string} value */
function isProxy(value) {
  try {
    const { protocol, username, password } = new URL(value)
    decodeURIComponent(`${username}:${password}`)
    return protocol === 'http:' || protocol === 'https:'
  } catch {
    return false
  }
}
