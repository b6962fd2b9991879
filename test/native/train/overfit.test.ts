// Thirty steps on one batch bring its cross entropy below a tenth, and the trainer then knows it.

import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const losses = [{ name: 'cross-entropy' } as const, { ...mcLossConfig, beta: 0.5 }]
const runs = (['cpu', 'cuda'] as const).flatMap((device) =>
  losses.map((loss) => ({ loss, device })),
)

for (const { loss, device } of runs) {
  const why = device === 'cuda' && native().deviceCount() === 0 ? ' (LibTorch sees no GPU)' : ''
  test.skipIf(why !== '')(`${loss.name} overfits one batch on ${device}${why}`, async () => {
    const trainer = await native().NativeTrainer.create(toyTrainer({ loss, device }))
    const batch = wholeBatch(16, 32, 5)
    const crossEntropy: number[] = []
    for (let step = 0; step < 30; step++) {
      await trainer.step(batch, { step, seed: 3, lr: 0.05 })
      const stats = await trainer.stats()
      crossEntropy.push((stats.parts.ce as number) / stats.n)
    }
    expect(crossEntropy[29] as number).toBeLessThan(0.1 * (crossEntropy[0] as number))
    await trainer.dispose()
  })
}
