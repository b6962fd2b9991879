// What an operator costs on a GPU: the kernels it launches and the bytes they read and write, from its
// tensors. Read from the sources, not measured:
//   - PyTorch's headers of 2.13 (ATen/native/cuda/*.cuh), with their lines;
//   - .cu files of PyTorch (aten/src/ATen/native/cuda) by function: no package holds them. Normalization,
//     DilatedMaxPool2d, AdaptiveMaxPooling2d and ForeachReduceOp were read at other commits than 2.13's; what
//     stands here of Loss, SoftMax, Shape and FusedSgdKernel was not looked up;
//   - ours under native/ops, with their lines.
// A convolution or a matrix product is one kernel per result and 0 bytes, on both sides. Values per channel
// count nothing, except the partial sums of batch norm. What a cache saves is not known here.

/** @typedef {[shape: number[], itemsize: number, layout: string]} Tensor */
/** @typedef {{op: string, calls: number, inputs: Tensor[], outputs: Tensor[]}} Call */
/** @typedef {{kernels: number, bytes: number}} Cost */

const numel = ([shape]) => shape.reduce((product, size) => product * size, 1)
const bytesOf = (...tensors) => tensors.reduce((sum, tensor) => sum + numel(tensor) * tensor[1], 0)

/** What launches nothing. */
export const free = () => ({ kernels: 0, bytes: 0 })
const product = ({ outputs }) => ({ kernels: outputs.length, bytes: 0 })
/** One pass: every input is read and every result is written. */
const pass = ({ inputs, outputs }) => ({ kernels: 1, bytes: bytesOf(...inputs, ...outputs) })
const write = ({ outputs }) => ({ kernels: 1, bytes: bytesOf(...outputs) })

/** `other` as the layout of `x`: a copy where it lies otherwise. */
const laidOut = (other, x) =>
  other[2] === x[2] ? free() : { kernels: 1, bytes: 2 * bytesOf(other) }

// ---- PyTorch's batch norm, channels_last (bfloat16 does not take cuDNN's) ----

const channelsOf = ([shape]) => shape[1]
const powerOfTwo = (n) => 2 ** Math.floor(Math.log2(n))

/** grid.y of the sums: Normalization.cuh:150-182 (flexible_launch_configs, MAX_BLOCK_SIZE 512). */
export function rowBlocks(x) {
  const [channels, rows] = [channelsOf(x), numel(x) / channelsOf(x)]
  const across = Math.min(powerOfTwo(channels), 32)
  const down = Math.min(powerOfTwo(Math.ceil(rows / 16)), 512 / across)
  const blocks = Math.min(Math.ceil(rows / (down * 16)), 128)
  return blocks < 8 ? 1 : blocks
}

/** Partial results of `each` bytes per channel and row block, and the kernel that clears the semaphores. */
function partials(x, each) {
  const blocks = rowBlocks(x)
  if (blocks === 1) return free()
  return { kernels: 1, bytes: 2 * each * channelsOf(x) * blocks }
}

function nativeBatchNorm({ inputs: [x], outputs: [y] }) {
  const { kernels, bytes } = partials(x, 12)
  return { kernels: 3 + kernels, bytes: 2 * bytesOf(x) + bytesOf(y) + bytes }
}

function nativeBatchNormBackward({ inputs: [grad, x], outputs: [gradX] }) {
  const { kernels, bytes } = partials(x, 8)
  const copy = laidOut(grad, x)
  return {
    kernels: 2 + kernels + copy.kernels,
    bytes: 2 * bytesOf(grad, x) + bytesOf(gradX) + bytes + copy.bytes,
  }
}

// ---- ours ----

/** Partial sums of two doubles per channel and chunk, written and read: Cut of walk.cuh, merge.cuh:11-16. */
function chunkBytes(x, sumBlocks) {
  const [threads, mostChunks, steps] = [512, 132, 2]
  const width = channelsOf(x) / (16 / x[1]) // packs of 16 bytes
  let columns = 1
  while (columns < Math.min(width, 8)) columns *= 2
  const tiles = Math.ceil(width / columns)
  const rows = numel(x) / channelsOf(x)
  const down = threads / columns
  const wanted = Math.min(Math.max(Math.floor(sumBlocks / tiles), 1), mostChunks)
  const chunk = Math.ceil(Math.max(Math.ceil(rows / wanted), down * steps) / down) * down
  return 2 * Math.ceil(rows / chunk) * 2 * 8 * channelsOf(x)
}

function batchNormAct({ inputs, outputs: [y] }) {
  const [x, next] = inputs
  const residual = next[0].length === x[0].length ? [next] : []
  return { kernels: 2, bytes: 2 * bytesOf(x) + bytesOf(y, ...residual) + chunkBytes(x, 264) }
}

function batchNormActBackward({ inputs, outputs: [gradX, , , masked] }) {
  const [grad, x] = inputs
  const y = inputs.length === 4 ? [inputs[2]] : []
  // The second pass reads the masked gradient in place of the gradient and y.
  const second = numel(masked) > 0 ? [masked] : [grad, ...y]
  const copy = laidOut(grad, x)
  return {
    kernels: 2 + copy.kernels,
    bytes: bytesOf(grad, x, ...y, masked, ...second, x, gradX) + chunkBytes(x, 132) + copy.bytes,
  }
}

const gatherAugment = ({ outputs: [out] }) => ({
  kernels: 1,
  bytes: numel(out) + bytesOf(out), // a byte per value of the window
})

const mcForward = ({ inputs: [map], outputs }) => ({
  kernels: 2,
  bytes: bytesOf(map, ...outputs),
})

const mcBackward = ({ inputs, outputs }) => ({
  kernels: 1,
  bytes: bytesOf(...inputs, ...outputs),
})

const batchSums = ({ inputs: [, ...read] }) => ({ kernels: 1, bytes: bytesOf(...read) })

// ---- lists of tensors ----

/** MultiTensorApply.cuh:18, 31-32 (CUDA 13) and 254-337: launches over tensors of these sizes. */
export function listLaunches(sizes, depth) {
  const mostTensors = [770, 448, 336, 252, 210][depth - 1]
  let [launches, tensors, blocks] = [0, 0, 0]
  for (const size of sizes) {
    tensors += 1
    const chunks = Math.ceil(size / 65536)
    for (let chunk = 1; chunk <= chunks; chunk++) {
      blocks += 1
      const last = chunk === chunks
      if ((tensors === mostTensors && last) || blocks === 2240) {
        launches += 1
        blocks = 0
        tensors = last ? 0 : 1
      }
    }
  }
  return launches + (blocks > 0 ? 1 : 0)
}

/** A norm per tensor: cleared partial sums, one pass, and a kernel per 400 tensors that ends them. */
const foreachNorm = ({ inputs }) => ({
  kernels: 1 + listLaunches(inputs.map(numel), 1) + Math.ceil(inputs.length / 400),
  bytes: bytesOf(...inputs),
})

/** Parameters, gradients and velocities are read; parameters and velocities are written. */
function fusedSgd({ inputs }) {
  const each = Math.floor(inputs.length / 3) // the rate and found_inf follow
  const parameters = inputs.slice(0, each)
  return {
    kernels: listLaunches(parameters.map(numel), 3),
    bytes: 5 * bytesOf(...parameters),
  }
}

/** The first half of the inputs is written with the values of the second. */
function foreachCopy({ inputs }) {
  return {
    kernels: listLaunches(inputs.slice(0, inputs.length / 2).map(numel), 2),
    bytes: bytesOf(...inputs),
  }
}

const stack = ({ inputs, outputs }) => ({
  kernels: Math.ceil(inputs.length / 128),
  bytes: bytesOf(...inputs, ...outputs),
})

// ---- pools and the like ----

function adaptiveMaxPool({ inputs: [x], outputs }) {
  const copy = x[2] === 'contiguous' ? free() : { kernels: 1, bytes: 2 * bytesOf(x) }
  return { kernels: 1 + copy.kernels, bytes: bytesOf(x, ...outputs) + copy.bytes }
}

function adaptiveMaxPoolBackward({ inputs: [grad, , indices], outputs: [gradX] }) {
  const copied = gradX[2] === 'contiguous' ? 0 : 1
  return {
    kernels: 2 + copied,
    bytes: bytesOf(gradX) * (1 + 2 * copied) + 2 * bytesOf(grad) + bytesOf(indices),
  }
}

/** The zeros are written, then each gradient is added. */
const clearedPass = ({ inputs: [grad, , ...rest], outputs: [gradX] }) => ({
  kernels: 2,
  bytes: 2 * bytesOf(gradX) + bytesOf(grad, ...rest),
})

const sliceBackward = ({ inputs: [grad], outputs: [whole] }) => ({
  kernels: 2,
  bytes: bytesOf(whole) + 2 * bytesOf(grad),
})

const copyInto = ({ inputs: [, from], outputs: [to] }) => ({
  kernels: 1,
  bytes: bytesOf(from, to),
})

/** The lines that launch a kernel. */
const ours = (file, ...lines) => lines.map((line) => `native/ops/${file}:${line}`).join(', ')

const elementWise = 'CUDALoops.cuh, gpu_kernel: one kernel per TensorIterator'
const reduction = 'Reduce.cuh, gpu_reduce_kernel: one kernel'

/** @type {[cost: (call: Call) => Cost, source: string, ...operators: string[]][]} */
const rows = [
  [
    free,
    'views and allocations: no kernel',
    ...['detach', 't', 'view', 'unsqueeze', 'squeeze', 'expand', 'select', 'slice'],
    ...['empty', 'empty_like', 'transpose', 'alias', '_unsafe_view', 'as_strided', 'permute'],
  ],
  [product, 'one per result', 'convolution', 'convolution_backward', 'mm', 'addmm'],
  [
    pass,
    elementWise,
    ...[
      '_to_copy',
      'clone',
      'add',
      'add_',
      'mul',
      'div',
      'rsub',
      'neg',
      'eq',
      'ne',
      'abs',
      'where',
    ],
    ...['relu_', 'threshold_backward', 'elu', 'elu_backward', 'logical_not'],
  ],
  [copyInto, elementWise, 'copy_'],
  [
    write,
    `${elementWise} (fill)`,
    ...['fill_', 'zeros_like', 'ones_like', 'full_like', 'new_full', 'scalar_tensor'],
  ],
  [pass, reduction, 'mean', 'sum', 'amax', 'argmax', 'linalg_vector_norm'],
  [
    pass,
    'SoftMax.cu, host_softmax and host_softmax_backward: one kernel',
    ...['_softmax', '_softmax_backward_data', '_log_softmax', '_log_softmax_backward_data'],
  ],
  [pass, 'Loss.cu, nll_loss_forward_out_cuda_template', 'nll_loss_forward'],
  [clearedPass, 'Loss.cu, nll_loss_backward_out_cuda_template: zero_', 'nll_loss_backward'],
  [pass, 'DilatedMaxPool2d.cu, max_pool_forward_nhwc', 'max_pool2d_with_indices'],
  [
    clearedPass,
    'DilatedMaxPool2d.cu, gradInput.zero_() and max_pool_backward_nhwc',
    'max_pool2d_with_indices_backward',
  ],
  [adaptiveMaxPool, 'AdaptiveMaxPooling2d.cu, input.contiguous()', 'adaptive_max_pool2d'],
  [
    adaptiveMaxPoolBackward,
    'AdaptiveMaxPooling2d.cu, gradInput_c.zero_() and gradInput.copy_(gradInput_c)',
    'adaptive_max_pool2d_backward',
  ],
  [stack, 'Shape.cu, CAT_ARRAY_BATCH_SIZE 128', 'stack', 'cat'],
  [sliceBackward, 'FunctionsManual / slice_backward: zeros and copy_', 'slice_backward'],
  [
    nativeBatchNorm,
    'Normalization.cu, batch_norm_cuda_out: Normalization.cuh:1484-1578, update_stats_and_invert',
    'native_batch_norm',
  ],
  [
    nativeBatchNormBackward,
    'Normalization.cu, batch_norm_backward_cuda: Normalization.cuh:1585-1800',
    'native_batch_norm_backward',
  ],
  [
    foreachNorm,
    'ForeachReduceOp.cu, foreach_tensor_norm_cuda: MultiTensorApply.cuh:254-337, lpnorm_cleanup',
    '_foreach_norm',
  ],
  [
    foreachCopy,
    'ForeachBinaryOpList.cu, foreach_tensor_copy_list_kernel_cuda_: MultiTensorApply.cuh:254-337, depth 2',
    '_foreach_copy_',
  ],
  [fusedSgd, 'FusedSgdKernel.cu: MultiTensorApply.cuh:254-337, depth 3', '_fused_sgd_'],
  [batchNormAct, ours('batch_norm_act/cuda.cu', 64, 80), 'mcloss::batch_norm_act_forward'],
  [
    batchNormActBackward,
    ours('batch_norm_act/cuda.cu', 93, 106),
    'mcloss::batch_norm_act_backward',
  ],
  [gatherAugment, ours('gather_augment/cuda.cu', 149), 'mcloss::gather_augment'],
  [pass, ours('cwa_mask/cuda.cu', 54), 'mcloss::draw_cwa_mask_'],
  [
    mcForward,
    `${ours('mc_loss/forward.cuh', 177)}, ${ours('mc_loss/terms.cuh', 81)} (a map that fits into shared memory)`,
    'mcloss::mc_loss_forward',
  ],
  [batchSums, ours('step_sums/cuda.cu', 54), 'mcloss::add_batch_sums_'],
  [pass, ours('step_sums/cuda.cu', 65), 'mcloss::add_step_sums_'],
  [mcBackward, ours('mc_loss/backward.cuh', 111), 'mcloss::mc_loss_backward'],
]

/** By name as dispatched: {cost, source}. */
export const stepKernels = new Map(
  rows.flatMap(([cost, source, ...operators]) =>
    operators.map((name) => [name.includes('::') ? name : `aten::${name}`, { cost, source }]),
  ),
)

/** @param {Call} call @returns {Cost} of all its calls */
export function costOf(call) {
  const row = stepKernels.get(call.op)
  if (!row) throw new Error(`bench/step-kernels.mjs has no row for ${call.op}`)
  const { kernels, bytes } = row.cost(call)
  return { kernels: kernels * call.calls, bytes: bytes * call.calls }
}
