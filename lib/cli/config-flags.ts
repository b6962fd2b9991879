// The configuration's own paths as flags.

import { type Command, Option } from 'commander'
import { configKeys, setConfigValue } from '../config/file.js'
import type { ConfigInput } from '../config/index.js'

/** Every key of the configuration as a flag, or those that `has` takes. */
export function addConfigFlags(command: Command, has: (path: string) => boolean = () => true) {
  for (const { path, description } of configKeys()) {
    if (has(path)) command.addOption(new Option(`--${path} <value>`, description))
  }
}

/** Sets the keys that flags name; returns the configuration. */
export function setFlags(input: ConfigInput, flags: Record<string, string>): ConfigInput {
  for (const [path, value] of Object.entries(flags)) setConfigValue(input, path, value)
  return input
}
