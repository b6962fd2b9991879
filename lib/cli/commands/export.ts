// mcloss export: a trained model for other programs.

import { type Command, Option } from 'commander'
import { McLossError } from '../../errors.js'
import { type ExportOptions, exportModel } from '../../export/index.js'
import { print, printWarning } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('<run>', 'run folder, checkpoint folder or model.safetensors')
    .addOption(
      new Option('--format <format>', 'onnx: the whole model; safetensors: its weights')
        .choices(['onnx', 'safetensors'])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <file>', 'the file to write')
    .option('--ema', 'the average of the weights that a run with optim.ema keeps')
    .option('--maps', 'onnx: the feature map as a second output')
    .addOption(
      new Option(
        '--input <type>',
        'onnx: bytes [N, H, W, 3], or floats 0..1 [N, 3, H, W]; default: u8',
      ).choices(['u8', 'f32']),
    )
    .addOption(
      new Option('--names <library>', 'safetensors: whose names the weights get').choices([
        'torchvision',
        'timm',
      ]),
    )
    .action(runExport)
}

interface Flags {
  format: 'onnx' | 'safetensors'
  out: string
  ema?: boolean
  maps?: boolean
  input?: 'u8' | 'f32'
  names?: 'torchvision' | 'timm'
}

async function runExport(run: string, flags: Flags): Promise<void> {
  const { path, bytes, sha256, leftOut } = await exportModel(optionsOf(run, flags))
  if (leftOut.length > 0) {
    printWarning({
      type: 'warning',
      message:
        `export: ${flags.names} has no such head, and ${leftOut.length} tensors of it were left out: ` +
        `${leftOut.join(' ')}.`,
    })
  }
  print(`${bytes} bytes, SHA-256 ${sha256}`)
  print(path)
}

/** A flag of the other format is refused, not passed over. */
function optionsOf(weights: string, flags: Flags): ExportOptions {
  const { format, out, ema, names, ...onnx } = flags
  const common = { weights, out, ema }
  if (format === 'onnx') {
    if (names) throw usage('--names goes with --format safetensors')
    return { ...common, format, ...onnx }
  }
  if (onnx.maps || onnx.input) throw usage('--maps and --input go with --format onnx')
  if (!names) throw usage('--format safetensors needs --names torchvision or --names timm')
  return { ...common, format, names }
}

const usage = (problem: string) => new McLossError('E_USAGE', `mcloss export: ${problem}.`)
