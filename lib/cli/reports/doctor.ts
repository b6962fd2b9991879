// The report of `mcloss doctor` as lines for a terminal.

import type { DoctorReport, LibtorchRecord } from '../../doctor.js'

export function formatDoctor(report: DoctorReport): string {
  const { libtorch, addon, buildInfo, cuda, tools, tinyRun } = report
  const rows: [string, string][] = [
    ['mcloss', `${report.mcloss}, Node ${report.node}, ${report.platform}`],
    ['LibTorch', libtorch ? libtorchLine(libtorch) : 'none built in'],
    ['add-on', `${addon.path}: ${addon.loaded ? 'loads' : 'does not load'}`],
  ]
  if (buildInfo) {
    const { compiler, cppStandard, cpuCapability } = buildInfo
    const named = (name: string, version: string | null) =>
      version ? `${name} ${version}` : `no ${name}`
    const libraries = `${named('CUDA', buildInfo.cuda)}, ${named('cuDNN', buildInfo.cudnn)}`
    rows.push(['build', `${compiler}, C++${cppStandard}, ${cpuCapability}, ${libraries}`])
  }
  rows.push(['images', 'version' in report.sharp ? report.sharp.version : 'does not load'])
  for (const { path, expected, by } of report.replaced) {
    const who = by ? `named by ${by}` : 'which something else in the process loaded first'
    rows.push(['replaced', `${expected} by ${path}, ${who}`])
  }
  const visible = cuda.visible === null ? '' : `, CUDA_VISIBLE_DEVICES=${cuda.visible}`
  rows.push(['CUDA devices', `${cuda.deviceCount}${visible}`])
  rows.push(['driver', cuda.driver ?? 'no nvidia-smi'])
  for (const gpu of cuda.gpus) rows.push(['GPU', gpu])
  for (const [name, version] of Object.entries(tools)) rows.push([name, version ?? 'not found'])
  rows.push(['tiny run', `${tinyRun.ok ? 'ok' : 'FAILED'}: ${tinyRun.detail}`])
  const lines = rows.map(([name, value]) => `${name.padEnd(13)}${value}`)
  if (addon.error) lines.push('', addon.error)
  if (cuda.fault) lines.push('', cuda.fault)
  if ('error' in report.sharp) lines.push('', report.sharp.error)
  return lines.join('\n')
}

function libtorchLine(libtorch: LibtorchRecord & { fault?: string }): string {
  const kind = libtorch.cuda ? 'CUDA' : 'CPU'
  const gone = libtorch.fault ? ` (${libtorch.fault}: npx mcloss setup)` : ''
  return `${libtorch.version} ${kind}, ${libtorch.path}, from ${libtorch.source}${gone}`
}
