// What `mcloss doctor` prints with and without an add-on that loads.

import { afterAll, expect, test } from 'vitest'
import { formatDoctor } from '../../../lib/cli/reports/doctor.js'
import { doctor, gpuUse } from '../../../lib/doctor.js'
import { McLossError } from '../../../lib/errors.js'

const given = process.env.MCLOSS_NATIVE

function restore() {
  if (given === undefined) delete process.env.MCLOSS_NATIVE
  else process.env.MCLOSS_NATIVE = given
}
afterAll(restore)

// First: an add-on that loaded once stays loaded.
test('an add-on that cannot be loaded: what failed, and what to do', async () => {
  process.env.MCLOSS_NATIVE = '/nowhere/mcloss.node'
  const text = formatDoctor(await doctor())
  expect(text).toMatch(/does not load[\s\S]*FAILED[\s\S]*npx mcloss setup/)
})

test('the built add-on: a name and a value a line, aligned', async () => {
  restore()
  const text = formatDoctor(await doctor())
  expect(text).toMatch(/^mcloss {7}\d+\.\d+\.\d+, Node v/)
  for (const line of text.split('\n')) expect(line).toMatch(/^.{13}\S/)
})

test('the GPUs of the machine, and which of them CUDA_VISIBLE_DEVICES leaves', async () => {
  const report = await doctor()
  const gpus = ['A, 80 GiB', 'B, 80 GiB']
  const text = formatDoctor({
    ...report,
    cuda: { deviceCount: 1, fault: null, driver: '1', gpus, visible: '1' },
  })
  expect(text).toMatch(/^CUDA devices 1, CUDA_VISIBLE_DEVICES=1$/m)
  const all = formatDoctor({
    ...report,
    cuda: { deviceCount: 2, fault: null, driver: '1', gpus, visible: null },
  })
  expect(all).toMatch(/^CUDA devices 2$/m)
})

test('a GPU that no trainer can use is told, with the reason', async () => {
  const report = await doctor()
  const fault = 'device: cuda was asked for, but T4 has compute capability 7.5'
  const addon = {
    deviceCount: () => 1,
    checkDevice: () => {
      throw new McLossError('E_DEVICE', fault)
    },
  }
  const cuda = { ...report.cuda, ...gpuUse(addon) }
  expect(formatDoctor({ ...report, cuda })).toContain(`\n\n${fault}`)
  expect(gpuUse({ ...addon, checkDevice: () => undefined })).toEqual({
    deviceCount: 1,
    fault: null,
  })
  expect(gpuUse({ ...addon, deviceCount: () => 0 })).toEqual({ deviceCount: 0, fault: null })
})
