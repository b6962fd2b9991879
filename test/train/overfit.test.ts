// Thirty steps on one batch bring its cross entropy below a tenth, and the trainer then knows it.

import { expect, test } from 'vitest'
import { native } from '../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../formula-batch.js'

for (const loss of [{ name: 'cross-entropy' } as const, { ...mcLossConfig, beta: 0.5 }]) {
  test(`${loss.name} overfits one batch`, async () => {
    const trainer = await native().NativeTrainer.create(toyTrainer({ loss }))
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
