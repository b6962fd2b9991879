// The report of `mcloss data check` as lines for a terminal. Pure.

import { relative } from 'node:path'
import type { ClassSize, DataReport, Duplicates, SplitReport } from '../../data/check.js'
import { plain } from '../plain.js'

const MOST = 20 // lines of a list; the JSON has them all
const MOST_NAMES = 4 // of one group of duplicates

/** The report as aligned lines, paths relative to its root; lists end after 20 lines. */
export function formatDataReport(report: DataReport): string {
  const { kinds, duplicates, sizes } = report
  const short = (path: string) => plain(report.root === null ? path : relative(report.root, path))
  const size = ({ width, height, path }: NonNullable<typeof sizes>['largest']) =>
    `${width}x${height} (${short(path)})`
  const problem = ({ path, reason }: { path: string; reason: string }) =>
    `${short(path)} ${plain(reason)}`
  const row = (name: string, value: string | number) => `${name.padEnd(14)}${value}`
  return [
    row(plain(report.name), plain(report.root ?? '')),
    row('classes', report.classes),
    row('train', splitText(report.train)),
    row('test', splitText(report.test)),
    row('smallest', sizes ? size(sizes.smallest) : 'none'),
    row('largest', sizes ? size(sizes.largest) : 'none'),
    row(
      'kinds',
      `${kinds.rgb} RGB, ${kinds.grey} grey, ${kinds.cmyk} CMYK; ` +
        `${kinds.alpha} with alpha, ${kinds.sixteenBit} of 16 bits`,
    ),
    row('missing', `${report.missing.length} of ${report.files} files`),
    ...list(report.missing, short),
    row('unreadable', report.unreadable.length),
    ...list(report.unreadable, problem),
    row('damaged', report.damaged.length),
    ...list(report.damaged, problem),
    row(
      'duplicates',
      `${duplicates.acrossSplits.length} across train and test, ` +
        `${duplicates.withinSplit.length} within a split`,
    ),
    ...list([...duplicates.acrossSplits, ...duplicates.withinSplit], (group) =>
      duplicatesText(group, short),
    ),
    ...report.warnings.map((warning) => `warning: ${plain(warning)}`),
    row('result', verdict(report)),
  ]
    .map((line) => line.trimEnd())
    .join('\n')
}

function splitText({ images, smallestClass, largestClass, emptyClasses }: SplitReport): string {
  const of = (one: ClassSize) => `${one.images} (${plain(one.class)})`
  const empty = emptyClasses.length > 0 ? `; ${emptyClasses.length} classes without an image` : ''
  const balance =
    smallestClass.images === largestClass.images
      ? `${largestClass.images} in every class`
      : `${of(smallestClass)} to ${of(largestClass)} in a class`
  return `${images} images, ${balance}${empty}`
}

function duplicatesText({ files, sameClass }: Duplicates, short: (path: string) => string): string {
  const name = (file: Duplicates['files'][number]) =>
    `${file.split} ${short(file.path)}${sameClass ? '' : ` (${plain(file.class)})`}`
  const more = files.length > MOST_NAMES ? ` and ${files.length - MOST_NAMES} more` : ''
  return files.slice(0, MOST_NAMES).map(name).join(' = ') + more
}

function verdict({ ok, missing, unreadable, countsDiffer }: DataReport): string {
  if (ok) return 'ok'
  const reasons = [
    ...(missing.length > 0 ? [`${missing.length} missing`] : []),
    ...(unreadable.length > 0 ? [`${unreadable.length} unreadable`] : []),
    ...(countsDiffer === null ? [] : [plain(countsDiffer)]),
  ]
  return `not ok: ${reasons.join(', ')}`
}

function list<T>(items: T[], text: (item: T) => string): string[] {
  const lines = items.slice(0, MOST).map((item) => `  ${text(item)}`)
  return items.length > MOST ? [...lines, `  and ${items.length - MOST} more (--json)`] : lines
}
