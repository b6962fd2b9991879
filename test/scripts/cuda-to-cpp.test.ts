// The translator of CUDA files; what it makes of them runs in the C++ tests.

import { expect, test } from 'vitest'
import { translate } from '../../scripts/dev/cuda-to-cpp.mjs'

test('a CUDA file in a form that the translator does not know is refused', () => {
  const launch = 'void f() { kernel<int><<<2, 64, 0, stream>>>(a, g(b)); }'
  expect(translate(launch, 'a.cu')).toContain('(given...); }, a, g(b)); }')
  expect(() => translate('__shared__ union { int i; } x;', 'a.cu')).toThrow(/a\.cu: '__shared__'/)
  expect(() => translate('void f() { kernel<<<2, 64>>>(a;', 'a.cu')).toThrow(/without its end/)
})
