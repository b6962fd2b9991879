// What kernels take, as ptxas prints it.

import { expect, test } from 'vitest'
import {
  kernelResources,
  resourcesLine,
  takesTooMuch,
} from '../../scripts/dev/kernel-resources.mjs'

/** Of nvcc 13.0, for two kernels; the second one's numbers are given. */
const output = (spilled: number, shared: string) => `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5plainPf' for 'sm_75'
ptxas info    : Function properties for _Z5plainPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 376 bytes cmem[0]
ptxas info    : Compile time = 1.702 ms
ptxas info    : Compiling entry function '_Z6stagedPf' for 'sm_75'
ptxas info    : Function properties for _Z6stagedPf
    16 bytes stack frame, ${spilled} bytes spill stores, 0 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, ${shared}392 bytes cmem[0]
`

test('registers, spills and shared memory of each kernel', () => {
  const kernels = kernelResources(output(0, '4128 bytes smem, '))
  expect(kernels.map(resourcesLine)).toEqual([
    '40 registers, 0 bytes spilled, 0 bytes shared: _Z5plainPf',
    '255 registers, 0 bytes spilled, 4128 bytes shared: _Z6stagedPf',
  ])
  expect(kernels.filter(takesTooMuch)).toEqual([])
})

test('a spill and more than 48 KiB of shared memory are too much', () => {
  const tooMuch = (text: string) =>
    kernelResources(text)
      .filter(takesTooMuch)
      .map((k) => k.kernel)
  expect(tooMuch(output(4, ''))).toEqual(['_Z6stagedPf'])
  expect(tooMuch(output(0, '49152 bytes smem, '))).toEqual([])
  expect(tooMuch(output(0, '49153 bytes smem, '))).toEqual(['_Z6stagedPf'])
})

test('output in another form is an error, not a kernel that takes nothing', () => {
  expect(() => kernelResources(output(0, '').replace('bytes spill stores', ''))).toThrow(/ptxas/)
})
