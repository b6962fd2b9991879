// Which address is asked for a record's file, and who is shown the token of Hugging Face.

import { variable } from '../../scripts/setup/environment.mjs'
import { McLossError } from '../errors.js'

const HUGGING_FACE = 'https://huggingface.co'

/** MCLOSS_WEIGHTS_URL stands for every host, HF_ENDPOINT for Hugging Face; paths stay. */
export function mirrored(url: string): string {
  const { origin, pathname } = new URL(url)
  const mirror =
    baseNamed('MCLOSS_WEIGHTS_URL') ??
    (origin === HUGGING_FACE ? baseNamed('HF_ENDPOINT') : undefined)
  return mirror === undefined ? url : mirror.replace(/\/+$/, '') + pathname
}

/** HF_TOKEN, for an address on Hugging Face or on the mirror that HF_ENDPOINT names. */
export function tokenFor(url: string): string | undefined {
  const home = new URL(baseNamed('HF_ENDPOINT') ?? HUGGING_FACE)
  return new URL(url).origin === home.origin ? variable('HF_TOKEN') || undefined : undefined
}

function baseNamed(name: string): string | undefined {
  const value = variable(name)
  if (!value) return undefined
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return value
  throw new McLossError(
    'E_USAGE',
    `mcloss: the variable ${name} is not an address: expected http://... or https://... Set ` +
      'it so, or unset it.',
  )
}
