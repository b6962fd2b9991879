// Which channels of a network belong to which class.

import { type NativeTrainerConfig, native } from '../binding.js'
import { McLossError } from '../errors.js'
import { type ChannelGroup, channelGroups } from '../mc-loss.js'

/**
 * The groups of a model's last feature map, of any loss: one trained without MC-Loss has them too.
 *
 * @throws McLossError E_CONFIG for fewer channels than classes.
 */
export function groupsOf(who: string, model: NativeTrainerConfig['model']): ChannelGroup[] {
  const { channels } = native().mapShape(model)
  const { numClasses } = model
  if (channels >= numClasses) return channelGroups(channels, numClasses)
  throw new McLossError(
    'E_CONFIG',
    `${who}: expected a model with a channel or more for each of its ${numClasses} classes, but the ` +
      `last feature map of ${model.backbone} has ${channels}. Train it with model.channelsPerClass.`,
  )
}
