// For lib/, which is compiled without the scripts.

/** fetch through the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
export function fetchThroughProxy(url: string, init?: RequestInit): Promise<Response>
