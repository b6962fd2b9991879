// Whether bench/peers/native_step.py still writes down the step that native takes.

import { free, stepKernels } from './step-kernels.mjs'

const names = (text) => new Set(text.split(' ').map((name) => `aten::${name}`))

// Called by other operators too, or in their place.
const nested = names(
  '_to_copy add mul div sum eq abs fill_ copy_ logical_not zeros_like cat clone linalg_vector_norm',
)

// Made of others, without a kernel, or of the CPU alone.
const others = names(
  'conv2d _convolution mkldnn_convolution to as_strided_ resize_ contiguous resolve_conj linear ' +
    'cross_entropy_loss nll_loss nll_loss_nd log_softmax max_pool2d isfinite item ' +
    '_local_scalar_dense div_ narrow flatten reshape min max empty_like empty_strided zero_',
)
others.add('mcloss::batch_norm_act').add('mcloss::mc_loss').add('mcloss::step')

// Those in place count as the others. In place of the last two a GPU's step has max_pool2d's
// (native/models/heads.cpp).
const countedAs = new Map([
  ['aten::add_', 'aten::add'],
  ['aten::adaptive_max_pool2d', 'aten::max_pool2d_with_indices'],
  ['aten::adaptive_max_pool2d_backward', 'aten::max_pool2d_with_indices_backward'],
])

/** Calls of the operators of the table that launch something. */
function launching(entries) {
  const counts = new Map()
  for (const [name, calls] of entries) {
    const op = countedAs.get(name) ?? name
    if (stepKernels.get(op)?.cost !== free) counts.set(op, (counts.get(op) ?? 0) + calls)
  }
  return counts
}

/**
 * rows: operator -> {calls}, on meta tensors; taken: operator -> calls, by native on the CPU. They agree if
 * native took each operator as often, or at least as often if others call it too, and none besides.
 */
export function agreement(rows, taken) {
  const ours = launching([...rows].map(([op, { calls }]) => [op, calls]))
  const found = launching(
    [...taken].filter(([op]) => /^(aten|mcloss)::/.test(op) && !others.has(op)),
  )
  const wrong = [...new Set([...ours.keys(), ...found.keys()])].filter((op) => {
    const [expected, received] = [ours.get(op) ?? 0, found.get(op) ?? 0]
    return nested.has(op) ? received < expected : received !== expected
  })
  const text = wrong.map(
    (op) => `${op}: ${ours.get(op) ?? 0}, in native's step ${found.get(op) ?? 0}`,
  )
  return {
    ok: wrong.length === 0,
    text: text.join('; ') || "native's step dispatched the operators that are counted here",
  }
}
