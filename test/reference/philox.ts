// Philox4x32-10 as its paper states it (Salmon et al., SC 2011), in BigInt: a slow twin.

const WORD = 0xffffffffn

/** counter: 4 words, key: 2 words; 4 words. */
export function philoxTwin(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
  let [first, second] = key.map(BigInt) as [bigint, bigint]
  for (let round = 0; round < 10; round++) {
    const one = 0xd2511f53n * a
    const two = 0xcd9e8d57n * c
    ;[a, b, c, d] = [(two >> 32n) ^ b ^ first, two & WORD, (one >> 32n) ^ d ^ second, one & WORD]
    first = (first + 0x9e3779b9n) & WORD
    second = (second + 0xbb67ae85n) & WORD
  }
  return [a, b, c, d].map(Number)
}

/** Draw number `number` of (seed, step, sample, stream), as docs/architecture.md says. */
export function drawTwin(
  seed: number,
  step: number,
  sample: number,
  number: number,
  stream: number,
): number {
  const key = [Number(BigInt(seed) & WORD), Number(BigInt(seed) >> 32n)]
  return philoxTwin([step, sample, Math.floor(number / 4), stream], key)[number % 4] as number
}
