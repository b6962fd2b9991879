// For lib/, which is compiled without the scripts.

/** Its value without quotes, '' for none. */
export function variable(name: string, env?: NodeJS.ProcessEnv): string
/** A path, from the working folder if it is relative. */
export function pathVariable(name: string, env?: NodeJS.ProcessEnv): string | undefined
/** Where this user's caches lie. XDG's rule: a relative path counts as none. */
export function userCache(env?: NodeJS.ProcessEnv): string
/** Whether it says yes. */
export function isOn(name: string, env?: NodeJS.ProcessEnv): boolean
