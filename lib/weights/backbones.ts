// Which backbones a file of weights is for, told by torchvision's names and their shapes. vgg-small
// is not among them: it has no width of its own.

type Shapes = Map<string, number[]>

interface Named {
  name: string
  shape: number[]
}

/** The backbones of which every tensor is there, in its own width. */
export function matchingBackbones(tensors: Named[]): string[] {
  const shapes: Shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const has = ([name, shape]: [string, number[]]) => String(shapes.get(name)) === String(shape)
  return Object.keys(backbones).filter((name) => [...(backbones[name]?.() ?? [])].every(has))
}

const POOL = 0
const vggWidths = [64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL]
vggWidths.push(512, 512, 512, POOL, 512, 512, 512)

const backbones: Record<string, () => Shapes> = {
  resnet18: () => resnet([2, 2, 2, 2], false),
  resnet50: () => resnet([3, 4, 6, 3], true),
  vgg16: () => vgg(vggWidths, { norm: false, bias: true }),
  vgg16_bn: () => vgg(vggWidths, { norm: true, bias: true }),
  toy: () => vgg([8, POOL, 16, POOL, 32], { norm: true, bias: false }),
}

function addNorm(shapes: Shapes, name: string, channels: number): void {
  for (const part of ['weight', 'bias', 'running_mean', 'running_var']) {
    shapes.set(`${name}.${part}`, [channels])
  }
}

function resnet(blocks: number[], bottleneck: boolean): Shapes {
  const shapes: Shapes = new Map([['conv1.weight', [64, 3, 7, 7]]])
  addNorm(shapes, 'bn1', 64)
  let channels = 64
  for (const [stage, count] of blocks.entries()) {
    const inner = 64 * 2 ** stage
    const out = bottleneck ? 4 * inner : inner
    for (let index = 0; index < count; index++) {
      const block = `layer${stage + 1}.${index}`
      const kernels = bottleneck ? [1, 3, 1] : [3, 3]
      let from = channels
      for (const [position, size] of kernels.entries()) {
        const to = position === kernels.length - 1 ? out : inner
        shapes.set(`${block}.conv${position + 1}.weight`, [to, from, size, size])
        addNorm(shapes, `${block}.bn${position + 1}`, to)
        from = to
      }
      if (index === 0 && (stage > 0 || channels !== out)) {
        shapes.set(`${block}.downsample.0.weight`, [out, channels, 1, 1])
        addNorm(shapes, `${block}.downsample.1`, out)
      }
      channels = out
    }
  }
  return shapes
}

/** Convolution, norm, ReLU and pool take a number each. */
function vgg(widths: number[], { norm, bias }: { norm: boolean; bias: boolean }): Shapes {
  const shapes: Shapes = new Map()
  let number = 0
  let from = 3
  for (const width of widths) {
    if (width === POOL) {
      number++
      continue
    }
    shapes.set(`features.${number}.weight`, [width, from, 3, 3])
    if (bias) shapes.set(`features.${number}.bias`, [width])
    if (norm) addNorm(shapes, `features.${number + 1}`, width)
    number += norm ? 3 : 2
    from = width
  }
  return shapes
}
