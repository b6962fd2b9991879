// @ts-check
// npm's install hook, in a clone and in an installed package: builds the add-on when a LibTorch is
// here; without one it says how to go on and lets the installation succeed.

import { build, describe, recordedDefines } from './build.mjs'
import { isOn } from './environment.mjs'
import { findLibtorch } from './libtorch.mjs'
import { runAsProgram } from './setup-error.mjs'

await runAsProgram(import.meta.url, async () => {
  // npm runs this in the package's folder; relative paths are from where the user called npm.
  if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)
  if (isOn('MCLOSS_SKIP_BUILD')) {
    process.stdout.write('mcloss: MCLOSS_SKIP_BUILD is set: the native add-on was not built.\n')
    return 0
  }
  const { libtorch, passedOver } = await findLibtorch()
  if (libtorch) {
    // A clone is built with warnings as errors, and npm runs this for its first `npx mcloss`:
    // the add-on that is there serves.
    const built = await build(libtorch, { defines: recordedDefines() })
    if (!built) process.stdout.write(`mcloss: nothing to build; ${describe(libtorch)}\n`)
    return 0
  }
  process.stdout.write(
    [
      'mcloss is installed, but its native add-on is not built yet: no LibTorch was found (looked',
      'at LIBTORCH, the torch of python3, and the cache folder).',
      ...passedOver,
      'Run `npx mcloss setup --fetch` to fetch the CPU build and compile, or set LIBTORCH to a folder',
      'that holds include/ and lib/ and run `npx mcloss setup`.\n',
    ].join('\n'),
  )
  return 0
})
