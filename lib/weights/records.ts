// The published ImageNet weights of our backbones, under timm's names: where each file lies, how it
// is recognised, and how pictures are prepared for it. What no source states is null.

const huggingFace = 'https://huggingface.co/timm'
const torchvision = 'https://download.pytorch.org/models'

export interface WeightRecord {
  name: string
  url: string
  bytes: number | null
  /** As published, rounded. */
  mebibytes: number | null
  /** Its first 8 digits, as torchvision has them in the file's name. */
  sha256: string | null
  /** Per cent on ImageNet-1k, one centre crop. */
  top1: number | null
  mean: [number, number, number]
  std: [number, number, number]
  /** The shorter side and the square of the test, pixels. */
  resize: number
  crop: number
  licence: string | null
}

const imagenet: Pick<WeightRecord, 'mean' | 'std'> = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
}

/** torchvision's own file: the same weights as timm's, and the one whose hash is published. */
function ofTorchvision(
  name: string,
  file: string,
  mebibytes: number,
  top1: number,
  resize = 256,
): WeightRecord {
  const sha256 = /-([0-9a-f]{8})\.pth$/.exec(file)?.[1] ?? null
  const url = `${torchvision}/${file}`
  const record = { name, url, bytes: null, mebibytes, sha256, top1 }
  return { ...record, ...imagenet, resize, crop: 224, licence: null }
}

function ofTimm(name: string): WeightRecord {
  const url = `${huggingFace}/${name}/resolve/main/model.safetensors`
  const record = { name, url, bytes: null, mebibytes: null, sha256: null, top1: null }
  return { ...record, ...imagenet, resize: 288, crop: 288, licence: null }
}

export const weightRecords: readonly WeightRecord[] = [
  ofTorchvision('resnet18.tv_in1k', 'resnet18-f37072fd.pth', 44.661, 69.758),
  ofTimm('resnet18.a1_in1k'),
  ofTorchvision('resnet50.tv_in1k', 'resnet50-0676ba61.pth', 97.781, 76.13),
  ofTorchvision('resnet50.tv2_in1k', 'resnet50-11ad3fa6.pth', 97.79, 80.858, 232),
  ofTimm('resnet50.a1_in1k'),
  ofTorchvision('vgg16.tv_in1k', 'vgg16-397923af.pth', 527.796, 71.592),
  ofTorchvision('vgg16_bn.tv_in1k', 'vgg16_bn-6c64b313.pth', 527.866, 73.36),
]

export function weightRecord(name: string): WeightRecord | undefined {
  return weightRecords.find((record) => record.name === name)
}
