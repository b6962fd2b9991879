// mcloss groups: the split of channels over classes.

import type { Command } from 'commander'
import { channelGroups } from '../../mc-loss.js'
import { positiveInteger } from '../options.js'
import { print, printJson } from '../terminal.js'

export function define(command: Command): void {
  command
    .requiredOption('--channels <C>', 'channels of the feature map', positiveInteger)
    .requiredOption('--classes <K>', 'classes', positiveInteger)
    .option('--json', 'print JSON')
    .action(runGroups)
}

function runGroups(options: { channels: number; classes: number; json?: boolean }) {
  const groups = channelGroups(options.channels, options.classes)
  if (options.json) return printJson(groups)
  print(`${options.channels} channels over ${options.classes} classes`)
  const sizes = new Map<number, typeof groups>()
  for (const group of groups) {
    const size = group.end - group.begin
    sizes.set(size, [...(sizes.get(size) ?? []), group])
  }
  for (const [size, same] of sizes) {
    const [first, last] = [same[0], same.at(-1)]
    if (!first || !last) continue
    print(
      `${same.length} classes of ${size}: class ${first.class}..${last.class}, ` +
        `channels ${first.begin}..${last.end - 1}`,
    )
  }
}
