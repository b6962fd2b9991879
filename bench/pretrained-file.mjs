// The second part of bench/pretrained.mjs: a trainer from the VGG-16 file of torchvision, in its layout and
// with weights of a seed, and what `mcloss weights inspect` takes for it.

import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { peerScript } from './python.mjs'
import { figure, interleave, median, ratioOf, rounded, spread } from './statistics.mjs'

const MIB = 2 ** 20
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const mib = (bytes) => bytes.map((one) => one / MIB)

/** The published file's twin in `dir`; -> its path. */
export function writeVgg(python, dir) {
  end(python, [here('../test/fixtures/make_official.py'), dir, 'vgg16'])
  return join(dir, 'vgg16-397923af.pth')
}

export async function loadRows(path, { python, threads, rounds }, torch) {
  const peer = () =>
    JSON.parse(end(python, [peerScript('pretrained.py'), 'load', path, `${threads}`]).stdout)
  const ours = () =>
    JSON.parse(end(process.execPath, [here('pretrained-ours.mjs'), path, `${threads}`]).stdout)
  peer()
  ours()
  const { a, b } = await interleave(rounds, peer, ours)
  const of = (results, name) => results.map((result) => result[name])
  const model = 4 * a[0].parameters
  const whole = b.map(({ create, load }) => create + load)
  const beyond = (results) => mib(results.map(({ peak, loaded }) => peak - loaded - model))
  console.log(`peer  torch.load and load_state_dict ${spread(of(a, 'load'))} s`)
  console.log(`ours  ${spread(whole)} s, ${spread(of(b, 'load'))} s of it the file`)
  const shared = {
    setting: `vgg16 legacy .pth, ${Math.round(statSync(path).size / MIB)} MiB`,
    sample: `${rounds} processes`,
    threads,
    check: { ok: true, text: `both have ${a[0].parameters} parameters from the same file` },
  }
  const name = `PyTorch ${torch}`
  return [
    {
      claim: 'weights-load',
      ...shared,
      peer: figure(name, 's', of(a, 'load')),
      ours: figure('mcloss', 's', whole),
      ratio: ratioOf(whole, of(a, 'load')),
      also: [
        figure(`${name}, building the model before`, 's', of(a, 'build')),
        figure('mcloss, the file alone', 's', of(b, 'load')),
      ],
    },
    {
      claim: 'weights-load-memory',
      ...shared,
      peer: figure(name, 'MiB', beyond(a)),
      ours: figure('mcloss', 'MiB', beyond(b)),
      ratio: null,
    },
  ]
}

export async function inspectRows(path, { rounds }) {
  const peak =
    'data:text/javascript,process.on("exit",()=>' +
    'process.stderr.write("peak "+process.resourceUsage().maxRSS))'
  const timed = (args) => () => {
    const began = performance.now()
    const { stderr, stdout } = end(process.execPath, ['--import', peak, ...args])
    const ms = performance.now() - began
    return { ms, bytes: 1024 * Number(/peak (\d+)/.exec(stderr)[1]), stdout }
  }
  const idle = timed(['-e', '0'])
  const inspect = timed([here('../dist/cli/main.js'), 'weights', 'inspect', path, '--json'])
  idle()
  const { format, matches, tensors } = JSON.parse(inspect().stdout)
  const { a, b } = await interleave(rounds, idle, inspect)
  const row = (claim, unit, of) => {
    const [none, ours] = [a, b].map((results) => results.map(of))
    return {
      claim,
      setting: `vgg16 legacy .pth, ${Math.round(statSync(path).size / MIB)} MiB`,
      sample: `${rounds} processes`,
      threads: null,
      peer: figure(`Node.js ${process.versions.node}`, unit, none),
      ours: figure('mcloss', unit, ours),
      ratio: { value: rounded(median(ours) - median(none)), unit },
      check: {
        ok: format === 'torch-legacy' && String(matches) === 'vgg16' && tensors.length === 32,
        text: `it named ${format}, ${matches}, ${tensors.length} tensors`,
      },
    }
  }
  return [
    row('weights-inspect', 'ms', ({ ms }) => ms),
    row('weights-inspect-memory', 'MiB', ({ bytes }) => bytes / MIB),
  ]
}

/** Runs a program to its end. */
function end(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  if (status === 0) return { stdout, stderr }
  const reason = error?.message ?? `it ended with code ${status}: ${stderr}`
  throw new Error(`pretrained: ${command} ${args.join(' ')}: ${reason}`)
}
