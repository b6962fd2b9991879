// The losses as plain loops in float64, from their papers' formulas (docs/losses.md): for tests. A
// schedule's value is given: lambda of a-softmax, alpha of lgm.

export interface Sample {
  /** [N][D] */
  x: number[][]
  /** [K][D]: the weight or the means. */
  rows: number[][]
  /** [K], of a linear layer. */
  bias: number[]
  /** [N] */
  target: number[]
}

export type Options = { name: string } & Record<string, number | string>

export interface PlainResult {
  loss: number
  parts: Record<string, number>
  /** [N][K] */
  logits: number[][]
  evalLogits: number[][]
}

const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * at(b, i), 0)
const norm = (a: number[]) => Math.sqrt(dot(a, a))
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const at = (values: number[], index: number) => values[index] as number
/** d = |x - mu|^2 / 2 */
const halfSquare = (x: number[], mu: number[]) =>
  x.reduce((sum, value, i) => sum + (value - at(mu, i)) ** 2, 0) / 2

/** log p of the softmax. */
function logSoftmax(z: number[]): number[] {
  const largest = Math.max(...z)
  const sum = z.reduce((total, value) => total + Math.exp(value - largest), 0)
  return z.map((value) => value - largest - Math.log(sum))
}

function evalLogit(name: string, scale: number, x: number[], row: number[], bias: number): number {
  if (name === 'lgm') return -halfSquare(x, row)
  if (name === 'a-softmax') return dot(x, row) / norm(row)
  if (['coco', 'lmcl', 'arcface'].includes(name)) return (scale * dot(x, row)) / norm(x) / norm(row)
  return dot(x, row) + bias
}

/** The label's logit in training. */
function withMargin(options: Options, z: number, x: number[], scalar: number): number {
  const { scale, margin } = options as unknown as { scale: number; margin: number }
  if (options.name === 'lmcl') return z - scale * margin
  if (options.name === 'lgm') return z * (1 + scalar)
  if (options.name === 'arcface') {
    const theta = Math.acos(z / scale)
    if (theta + margin <= Math.PI) return scale * Math.cos(theta + margin)
    return z - scale * margin * Math.sin(margin)
  }
  if (options.name === 'a-softmax') {
    const theta = Math.acos(z / norm(x))
    const k = Math.min(margin - 1, Math.floor((margin * theta) / Math.PI))
    const psi = (k % 2 === 0 ? 1 : -1) * Math.cos(margin * theta) - 2 * k
    return (scalar * z + norm(x) * psi) / (1 + scalar)
  }
  return z
}

/** scalar: lambda of a-softmax, alpha of lgm. centres [K][D]: of center, before the step. */
export function plainLoss(
  options: Options,
  { x, rows, bias, target }: Sample,
  { scalar = 0, centres = rows }: { scalar?: number; centres?: number[][] } = {},
): PlainResult {
  const { name, scale = 1, gamma = 0, weight = 0, lambda = 0, labelSmoothing = 0 } = options
  const evalLogits = x.map((one) =>
    rows.map((row, k) => evalLogit(name, Number(scale), one, row, at(bias, k))),
  )
  const labels = [...target.entries()]
  const logits = evalLogits.map((z, n) =>
    z.map((value, k) =>
      k === target[n] ? withMargin(options, value, x[n] as number[], scalar) : value,
    ),
  )
  const logP = logits.map(logSoftmax)
  const right = labels.map(([n, y]) => at(logP[n] as number[], y))
  const smoothing = Number(labelSmoothing)
  const ce = mean(
    labels.map(([n]) => -(1 - smoothing) * at(right, n) - smoothing * mean(logP[n] as number[])),
  )
  const result = (loss: number, parts: Record<string, number>) => ({
    ...{ loss, parts, logits, evalLogits },
  })
  switch (name) {
    case 'cross-entropy':
      return result(ce, { ce })
    case 'focal': {
      const focal = mean(right.map((log) => -((1 - Math.exp(log)) ** Number(gamma)) * log))
      return result(focal, { focal })
    }
    case 'center': {
      const distances = labels.map(([n, y]) => halfSquare(x[n] as number[], centres[y] as number[]))
      const center = mean(distances)
      return result(ce + Number(weight) * center, { ce, center })
    }
    case 'lgm': {
      const lkd = mean(labels.map(([n, y]) => -at(evalLogits[n] as number[], y)))
      return result(ce + Number(lambda) * lkd, { cls: ce, lkd })
    }
    case 'cosine-loss': {
      const cosine = mean(
        labels.map(([n, y]) => 1 - at(logits[n] as number[], y) / norm(logits[n] as number[])),
      )
      return result(cosine, { cosine })
    }
    case 'max-entropy': {
      const entropy = mean(
        logP.map((row) => row.reduce((sum, log) => sum - Math.exp(log) * log, 0)),
      )
      return result(ce - Number(gamma) * entropy, { ce, entropy })
    }
    default:
      return result(ce, { [name]: ce })
  }
}

/** The centres of center after the step. */
export function plainCentres(
  { x, target }: Sample,
  centres: number[][],
  centerRate: number,
): number[][] {
  return centres.map((centre, j) => {
    const own = x.filter((_, n) => target[n] === j)
    return centre.map((value, d) => {
      const delta = own.reduce((sum, one) => sum + value - at(one, d), 0) / (1 + own.length)
      return value - centerRate * delta
    })
  })
}
