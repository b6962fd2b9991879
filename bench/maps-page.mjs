// The text of docs/results/maps.md, made from the kept runs of bench/maps.mjs.

import { mean, pairedInterval } from './statistics.mjs'

const rows = [
  ['overlap of the channels', 'overlap'],
  ['h / xi', 'hShare'],
  ['channels that are 0 everywhere', 'silent'],
  ['channels: share on the bird', 'channelsInBird'],
  ['channels: share on the parts', 'channelsInParts'],
  ['CCMP: share on the bird', 'ccmpInBird'],
  ['CCMP: share on the parts', 'ccmpInParts'],
]

export function mapsPage(results, { data, optim, model }) {
  const of = (name) => results.filter((result) => result.name === name)
  const [ce, mc] = [of('cross entropy'), of('MC-Loss')]
  const bySeed = (side, when, key) => side.map((result) => result[when][key])
  const cell = (values) =>
    `${mean(values).toFixed(3)} (${values.map((v) => v.toFixed(3)).join(' ')})`
  const difference = (a, b) => {
    const { mean: middle, low, high } = pairedInterval(a, b)
    return `${middle.toFixed(3)} (${low.toFixed(3)} .. ${high.toFixed(3)})`
  }
  const line = (cells) => `| ${cells.join(' | ')} |`
  const head = ['', 'before training', 'cross entropy', 'MC-Loss', 'MC-Loss less cross entropy']
  const tops = [ce, mc].map((side) => side.map(({ top1 }) => 100 * top1))
  const percent = (values) =>
    `${mean(values).toFixed(1)} (${values.map((value) => value.toFixed(1)).join(' ')})`
  const table = [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(([words, key]) => {
      const [a, b] = [ce, mc].map((side) => bySeed(side, 'after', key))
      return line([words, cell(bySeed(ce, 'before', key)), cell(a), cell(b), difference(b, a)])
    }),
    line(['top-1, %', '-', ...tops.map(percent), difference(tops[1], tops[0])]),
  ].join('\n')
  const reading = rows.map(([words, key]) => {
    const [a, b] = [bySeed(ce, 'after', key), bySeed(mc, 'after', key)]
    const { low, high } = pairedInterval(b, a)
    if (low > 0) return `- ${words}: higher under MC-Loss.`
    return `- ${words}: ${high < 0 ? 'lower under MC-Loss' : 'no difference was seen'}.`
  })
  const images = data.classes * data.trainPerClass
  const { birdArea, partsArea } = results[0].before
  return `# What MC-Loss does to the maps

Written by \`npm run bench -- maps\` from bench/maps.jsonl; not edited by hand. [docs/maps.md](../maps.md)
says what the figures mean.

${data.classes} kinds of drawn birds, ${data.trainPerClass} training images of each, ${data.size} px; ${model.backbone} with
${model.channelsPerClass} channels per class; ${optim.epochs} epochs in batches of ${optim.batchSize}, so ${images * optim.epochs} images per run. The settings
of each loss were the best of six trials on other images. Both sides of a seed begin with the same
weights. Each figure is a mean over the ${data.classes * data.testPerClass} test images, of the channels of the image's own
class; under cross entropy these channels belong to no class, and the same numbers of channels are taken.
In parentheses: each of the ${ce.length} seeds, or for the difference the 95 % interval of the mean over them.

${table}

The bird covers ${birdArea.toFixed(3)} of the test images, and the parts by which kinds of a family differ cover
${partsArea.toFixed(3)}. A map that is the same everywhere has these shares. An overlap is 1 for equal maps and 0 for maps
that nowhere meet; h / xi is 1 / xi for equal maps and at most 1.

What the intervals say:

${reading.join('\n')}

The overlap and h / xi can move together: h looks at the softmax of a map, which its few largest values decide, and
the overlap at all of a map. A high h / xi with a high overlap says that the peaks of the channels lie apart and that
what is around them does not.

Measured on ${[...new Set(results.map(({ date }) => date))].join(', ')}.
`
}
