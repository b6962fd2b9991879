// Every claim that bench/ measures: what its figure means, against whom, and its goal. A goal is stated
// here and nowhere else; rows copy it and bench/RESULTS.md prints it beside the figure.
//
// The figure is the row's `ratio`, or `ours` if the row has none. `op` says which side of the goal is
// better. `goals` are by setting, '*' is any other: `value` must hold, `aim` is wished for.

/**
 * @typedef {{value?: number, aim?: number}} Goal
 * @typedef {{
 *   bench: string, title: string, means: string, peer: string, op?: '>=' | '<=',
 *   goals?: Record<string, Goal>,
 * }} Claim
 */

const eager =
  'A, PyTorch in Python, eager, channels_last, float32, fused SGD (bench/peers/train_step.py)'
const onGpu =
  'A, PyTorch in Python, eager, channels_last, bfloat16 by autocast, fused SGD, cudnn.benchmark ' +
  '(bench/peers/train_step_gpu.py)'
const compiled = 'B, A with model and loss as one graph under torch.compile'
const counted = "PyTorch's eager step in bfloat16 by autocast (bench/peers/step_count.py)"
const script = 'the same as a Python script with PyTorch'
const forms =
  'the faster of the two forms a PyTorch user writes, eager (bench/peers/mc_loss_forms.py)'

/** @type {Record<string, Claim>} */
export const claims = {
  'step-eager': {
    bench: 'train-step',
    title: 'A training step on a CPU, against PyTorch',
    means: 'images/s of whole steps, pixels to statistics: ours / peer.',
    peer: eager,
    op: '>=',
    goals: {
      'resnet50 ce 224 px b16': { value: 1.15, aim: 1.25 },
      'vgg16_bn ce 224 px b16': { value: 1.03, aim: 1.08 },
    },
  },
  'step-compiled': {
    bench: 'train-step',
    title: 'A training step on a CPU, against torch.compile',
    means: 'images/s of whole steps, pixels to statistics: ours / peer.',
    peer: compiled,
    op: '>=',
    goals: { '*': { aim: 1 } },
  },
  'step-gpu-eager': {
    bench: 'train-step-gpu',
    title: 'A training step on a GPU, against PyTorch',
    means: 'images/s of whole steps, pixels on the GPU to statistics, in bfloat16: ours / peer.',
    peer: onGpu,
    op: '>=',
    goals: {
      'resnet50 ce 224 px b32 bf16': { value: 1.3 },
      'resnet50 mc 224 px b32 bf16': { value: 1.3 },
      'resnet50 ce 448 px b32 bf16': { value: 1.05, aim: 1.3 },
      'resnet50 mc 448 px b32 bf16': { value: 1.05, aim: 1.3 },
      'vgg16 ce 224 px b32 bf16': { value: 1, aim: 1.1 },
      'vgg16 ce 448 px b32 bf16': { value: 1, aim: 1.1 },
    },
  },
  'step-gpu-graph': {
    bench: 'train-step-gpu',
    title: 'A training step on a GPU, against PyTorch in a CUDA graph',
    means: 'images/s of whole steps, pixels on the GPU to statistics, in bfloat16: ours / peer.',
    peer: "that peer's step captured with torch.cuda.graph",
    op: '>=',
    goals: { '*': { aim: 1 } },
  },
  'step-gpu-compiled': {
    bench: 'train-step-gpu',
    title: 'A training step on a GPU, against torch.compile',
    means: 'images/s of whole steps, pixels on the GPU to statistics, in bfloat16: ours / peer.',
    peer: "that peer's model and loss under torch.compile, mode reduce-overhead",
    op: '>=',
    goals: { '*': { aim: 1 } },
  },
  'batch-norm-gpu': {
    bench: 'gpu-operators',
    title: 'batch_norm_act on a GPU, against PyTorch',
    means:
      'Device time of forward and backward, batch norm with its ReLU and addition: peer / ours.',
    peer: "PyTorch's batch_norm, add and relu in place, eager, in a CUDA graph",
    op: '>=',
    goals: { '*': { value: 1 } },
  },
  'batch-norm-gpu-floor': {
    bench: 'gpu-operators',
    title: 'batch_norm_act on a GPU, against its memory',
    means: "The operator's device time: ours / peer.",
    peer: 'the fewest bytes of its two passes each way, at the bandwidth of a large copy',
    op: '<=',
    goals: { '*': { aim: 1.5 } },
  },
  'gather-gpu': {
    bench: 'gpu-operators',
    title: 'gather_augment on a GPU',
    means: 'Device time of a batch: peer / ours.',
    peer: 'the same crop and flip as one gather by indices, then the arithmetic, in a CUDA graph',
    op: '>=',
    goals: { '*': { value: 1 } },
  },
  'free-run': {
    bench: 'free-run',
    title: 'The same loss curve',
    means:
      "The largest distance of our loss from the mean of three peer runs, as a share of twice those runs' " +
      'spread. `ours` and `peer` are the loss of the last 10 steps.',
    peer: 'A, from the same weights and from two copies one float up or down',
    op: '<=',
    goals: { '*': { value: 1 } },
  },
  accuracy: {
    bench: 'demo-seeds',
    title: 'The same accuracy on the drawn birds',
    means:
      'Top-1 % after the last epoch by seed: the mean of ours - peer and its 95 % interval (t).',
    peer: 'PyTorch from the same initial weights, with the same pixels, order, windows, masks and rates',
  },
  'loss-gain': {
    bench: 'demo-seeds',
    title: 'MC-Loss against cross entropy on the drawn birds',
    means:
      'Top-1 % after the last epoch by seed: the mean of MC-Loss - cross entropy and its 95 % interval (t). ' +
      'Rates and weights were chosen on other images and seeds (60 kinds: docs/results/losses.md).',
    peer: 'the same side with cross entropy',
  },
  'operator-time': {
    bench: 'mc-loss',
    title: 'The MC-Loss operator on a CPU: time',
    means: 'Milliseconds of forward and backward: peer / ours.',
    peer: forms,
    op: '>=',
    goals: {
      '[16,2000,14,14] float32 contiguous, K 200': { value: 6 },
      '[32,600,14,14] float32 contiguous, K 200': { value: 6 },
      '[16,2048,14,14] float32 contiguous, K 200': { value: 4 },
      '[16,2000,14,14] float32 channels_last, K 200': { value: 4 },
      '[32,600,14,14] float32 channels_last, K 200': { value: 4 },
      '[16,2048,14,14] float32 channels_last, K 200': { value: 4 },
    },
  },
  'operator-memory': {
    bench: 'mc-loss',
    title: 'The MC-Loss operator: memory',
    means: 'Memory beyond the input and its gradient: ours / peer.',
    peer: forms,
    op: '<=',
    goals: {
      // No goal in bfloat16 on a CPU.
      '[16,2048,14,14] bfloat16 contiguous, K 200': {},
      '[16,2048,14,14] bfloat16 channels_last, K 200': {},
      '*': { value: 0.1 },
    },
  },
  'step-launches': {
    bench: 'step-count',
    title: 'A training step on a GPU: kernels launched (estimated)',
    means: 'Kernels of one step without a graph: ours / peer. Counted, not yet run on a GPU.',
    peer: counted,
    op: '<=',
    goals: { '*': { value: 0.7 } },
  },
  'step-launches-gpu': {
    bench: 'step-profile',
    title: 'A training step on a GPU: kernels launched',
    means:
      "Kernels of one step without a graph, seen by Nsight Compute and PyTorch's profiler: ours / peer.",
    peer: onGpu,
    op: '<=',
    goals: { '*': { value: 0.7 } },
  },
  'step-bytes': {
    bench: 'step-count',
    title: 'A training step on a GPU: element-wise traffic (estimated)',
    means:
      'MB read and written by all but convolutions and matrix products: ours / peer. Counted, not yet run ' +
      'on a GPU.',
    peer: counted,
    op: '<=',
    goals: { '*': { value: 0.8 } },
  },
  'operator-gpu-eager': {
    bench: 'mc-loss',
    title: 'The MC-Loss operator on a GPU, against PyTorch',
    means: 'Wall time of forward and backward: peer / ours.',
    peer: forms,
    op: '>=',
    goals: { '*': { value: 5 } },
  },
  'operator-gpu-compiled': {
    bench: 'mc-loss',
    title: 'The MC-Loss operator on a GPU, against torch.compile',
    means: 'Wall time of forward and backward: peer / ours.',
    peer: 'the same forms under torch.compile, the faster one',
    op: '>=',
    goals: { '*': { value: 1.5 } },
  },
  'operator-gpu-floor': {
    bench: 'mc-loss',
    title: 'The MC-Loss operator on a GPU, against its memory',
    means: "The operator's device time: ours / peer.",
    peer: 'the time of three passes over the map at the bandwidth of a large copy',
    op: '<=',
    goals: { '*': { aim: 2 } },
  },
  'step-share': {
    bench: 'mc-share',
    title: "The MC-Loss operator's share of a step",
    means: 'Milliseconds of forward and backward, as a share of the peer in %.',
    peer: 'the whole step of the same network with cross entropy alone',
    op: '<=',
    goals: {
      'resnet50 ce 224 px b16, map [16,2048,7,7] float32 channels_last': { value: 1 },
      'resnet18 ce 224 px b16, map [16,600,14,14] float32 channels_last': { value: 5 },
    },
  },
  'demo-step': {
    bench: 'mc-share',
    title: "What MC-Loss adds to the demo's step",
    means: 'Milliseconds per step: ours - peer by round, as a share of the peer in %.',
    peer: 'the same step with cross entropy',
  },
  memory: {
    bench: 'memory',
    title: 'Peak memory of training',
    means:
      'Largest resident set of a process that takes five steps (on a GPU, allocated): ours / peer.',
    peer: script,
    op: '<=',
    goals: { '*': { value: 1, aim: 0.8 } },
  },
  'memory-after-loading': {
    bench: 'memory',
    title: 'Peak memory of training beyond the loaded library',
    means: 'What that memory grew by after the library was loaded: ours / peer.',
    peer: script,
  },
  'bilinear-time': {
    bench: 'bilinear',
    title: 'A training step of B-CNN: time',
    means: 'Seconds per step, pixels to statistics: ours / peer.',
    peer: 'B-CNN in plain PyTorch on the whole matrix (bench/peers/bilinear.py)',
    op: '<=',
    goals: { '*': { value: 1 } },
  },
  'bilinear-memory': {
    bench: 'bilinear',
    title: 'A training step of B-CNN: memory',
    means: 'Largest resident set of a process that takes a few steps: ours / peer.',
    peer: 'B-CNN in plain PyTorch on the whole matrix (bench/peers/bilinear.py)',
    op: '<=',
    goals: { '*': { value: 1 } },
  },
  start: {
    bench: 'start',
    title: 'Command to first finished step',
    means: 'Seconds from the start of a process to its first finished step: ours / peer.',
    peer: `${script} and PIL`,
    op: '<=',
    goals: { '*': { value: 0.7 } },
  },
  'driver-overhead': {
    bench: 'driver-overhead',
    title: 'A step driven from Node.js',
    means: 'Milliseconds per step: ours / peer.',
    peer: 'the same trainer driven from C++ (bench/driver.cpp)',
    op: '<=',
    goals: { '*': { value: 1.01 } },
  },
  'event-loop': {
    bench: 'event-loop',
    title: "Node's event loop during training",
    means: "Delay of the event loop beyond the timer's 1 ms, 99th percentile in ms.",
    peer: 'the same process, idle',
    op: '<=',
    goals: { '*': { value: 20 } },
  },
  'records-time': {
    bench: 'records',
    title: 'The records of a run',
    means: 'Processor time of the records per step: ours / peer.',
    peer: 'the steps of the same run',
    op: '<=',
    goals: { '*': { value: 0.01 } },
  },
  'compare-overhead': {
    bench: 'compare-overhead',
    title: 'mcloss compare: what it costs beside its runs',
    means: 'Processor seconds of a comparison with one job, all its processes: ours / peer.',
    peer: 'the same runs started one by one with mcloss train',
    op: '<=',
    goals: { '*': { value: 1.03 } },
  },
  dashboard: {
    bench: 'dashboard',
    title: 'Training that a dashboard shows',
    means: 'Processor seconds of the training process, in rounds by turns: ours / peer.',
    peer: 'the same with a dashboard that no browser looks at',
    op: '<=',
    goals: { '*': { value: 1.02 } },
  },
  'fine-tuning': {
    bench: 'fine-tuning',
    title: 'Controls of fine-tuning on the drawn birds',
    means:
      'Top-1 % after the last epoch by seed on 20 kinds with 5 images each, from a model of 40 other kinds, ' +
      'with one control more than plain SGD: the mean of ours - peer and its 95 % interval (t). Looked at on ' +
      'the test images, one setting each: orientation.',
    peer: 'plain fine-tuning',
  },
  'pretrained-gain': {
    bench: 'pretrained',
    title: 'Fine-tuning from pretrained weights on the drawn birds',
    means:
      'Top-1 % after the last epoch by seed on 20 kinds with 5 images each, from the backbone of a model of ' +
      '40 other kinds: the mean of ours - peer and its 95 % interval (t).',
    peer: 'the same runs from scratch',
    op: '>=',
    goals: { '*': { value: 0 } },
  },
  'weights-load': {
    bench: 'pretrained',
    title: 'A trainer from a file of weights',
    means: 'Seconds from nothing to a trainer with the weights of the file: ours / peer.',
    peer: 'torch.load and load_state_dict into a model that is there',
    op: '<=',
    goals: { '*': { value: 1.5 } },
  },
  'weights-load-memory': {
    bench: 'pretrained',
    title: 'A trainer from a file of weights: memory',
    means: 'Peak memory beyond the loaded library and the parameters of the model.',
    peer: 'the same in Python, with the model that is there',
    op: '<=',
    goals: { '*': { value: 232 } }, // a quarter of 528 MiB, and 100
  },
  'weights-inspect': {
    bench: 'pretrained',
    title: 'mcloss weights inspect',
    means: 'Milliseconds of the command: ours - peer.',
    peer: 'Node.js that does nothing',
    op: '<=',
    goals: { '*': { value: 300 } },
  },
  'weights-inspect-memory': {
    bench: 'pretrained',
    title: 'mcloss weights inspect: memory',
    means: 'Peak memory of the command: ours - peer.',
    peer: 'Node.js that does nothing',
    op: '<=',
    goals: { '*': { value: 100 } },
  },
  'predict-files': {
    bench: 'predict',
    title: 'Prediction: files to probabilities',
    means: 'images/s of a predictor that is open: ours / peer.',
    peer:
      "timm's network, channels_last, inference_mode, over PIL in a DataLoader with two workers " +
      '(bench/peers/predict.py)',
    op: '>=',
    goals: { '*': { value: 1.2 } },
  },
  'export-time': {
    bench: 'export',
    title: 'Export to ONNX',
    means: 'Seconds of an export, file to file.',
    peer: 'a copy of the file of weights',
    op: '<=',
    goals: { '*': { value: 10 } },
  },
  'export-memory': {
    bench: 'export',
    title: 'Export to ONNX: memory',
    means: 'What the process grows by at most: ours / peer.',
    peer: 'the size of the file of weights',
    op: '<=',
    goals: { '*': { value: 2.5 } },
  },
  'first-epoch': {
    bench: 'loader',
    title: 'The first epoch: files to decoded pixels',
    means: 'images/s per core: ours / peer.',
    peer: 'PIL in a PyTorch DataLoader with one worker per core',
    op: '>=',
    goals: { '*': { value: 1.3 } },
  },
  gather: {
    bench: 'loader',
    title: 'Augmentation: gather_augment',
    means: 'Milliseconds per batch: peer / ours.',
    peer: 'slicing of PyTorch tensors',
    op: '>=',
    goals: { '*': { value: 3 } },
  },
  'later-epochs': {
    bench: 'loader',
    title: 'Later epochs',
    means: 'images/s of training from the store: ours / peer.',
    peer: 'the same trainer on one resident batch',
    op: '>=',
    goals: { '*': { value: 0.97 } },
  },
}

/** The goal of a row as it is stored: {op, value, aim}, or null. */
export function goalOf(claim, setting) {
  const { op, goals = {} } = claims[claim]
  const { value = null, aim = null } = goals[setting] ?? goals['*'] ?? {}
  return value === null && aim === null ? null : { op, value, aim }
}
