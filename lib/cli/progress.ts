// What a person sees of a run: on a terminal its progress is one line that is overwritten, elsewhere
// plain lines.

import type {
  ClassWeightsEvent,
  EpochEvent,
  EvaluatedSplit,
  ProgressEvent,
  RunEvent,
  StartEvent,
  StoreEvent,
  TestFigures,
} from '../events.js'
import { sizeText } from '../machine.js'
import { figure, percent } from './percent.js'
import { plainLines } from './plain.js'
import { initialWeightsText } from './reports/weights.js'

type Output = NodeJS.WritableStream & { columns?: number }

export interface Progress {
  show(event: RunEvent): void
  /** Takes the progress line away; also when the run failed. */
  close(): void
}

export function createProgress(output: Output, isTty: boolean): Progress {
  const print = (text: string) => output.write(`${plainLines(text)}\n`)
  const status = isTty ? statusLine(output) : undefined
  const isNewTenth = tenths() // of a store
  const show = (event: RunEvent) => {
    if (event.type === 'progress') {
      const { stepInEpoch, stepsPerEpoch } = event
      if (status) {
        status.show(`${where(event)} ${bar(stepInEpoch, stepsPerEpoch)} ${progressText(event)}`)
      } else print(`${where(event)}  ${progressText(event)}`)
      return
    }
    if (event.type === 'prepare') {
      const { split, done, total, seconds } = event
      const count = countText(done, total, 'images', seconds)
      const isNew = isNewTenth(done, total)
      if (done === total) {
        status?.clear()
        print(`decoded ${split}  ${count}`)
      } else if (status) status.show(`decoding ${split} ${bar(done, total)} ${count}`)
      else if (isNew) print(`decoding ${split}  ${count}`)
      return
    }
    status?.clear()
    if (event.type === 'start') print(startText(event))
    if (event.type === 'weights') print(initialWeightsText(event))
    if (event.type === 'class-weights') print(classWeightsText(event))
    if (event.type === 'store') print(storeText(event))
    if (event.type === 'epoch') print(epochText(event))
    if (event.type === 'warning') print(`warning: ${event.message}`)
    if (event.type === 'checkpoint' && event.kind !== 'last') print(`${event.kind} ${event.path}`)
  }
  return { show, close: () => status?.clear() }
}

/** A count of images that grows: on a terminal the status line, elsewhere a line per tenth. */
export function createCount(output: Output, isTty: boolean) {
  const status = isTty ? statusLine(output) : undefined
  const isNewTenth = tenths()
  const began = performance.now()
  return {
    show(done: number, total: number): void {
      const count = countText(done, total, 'images', (performance.now() - began) / 1000)
      if (status) status.show(`${bar(done, total)} ${count}`)
      else if (isNewTenth(done, total)) output.write(`${count}\n`)
    },
    clear: () => status?.clear(),
  }
}

/** Tells of counts, one after another, whether they are the first in their tenth; the last ends a count. */
function tenths() {
  let said = 0
  return (done: number, total: number): boolean => {
    const reached = Math.floor((10 * done) / total)
    const isNew = reached > said
    said = done === total ? 0 : reached
    return isNew
  }
}

const STATUS_MS = 200

/**
 * The last line of a terminal, cut to its width (0: it does not say), written anew at most five times
 * a second.
 */
export function statusLine(output: Output) {
  let shown = Number.NEGATIVE_INFINITY
  return {
    show(text: string): void {
      const now = performance.now()
      if (now - shown < STATUS_MS) return
      shown = now
      output.write(`\r\x1b[2K${text.slice(0, (output.columns || 80) - 1)}`)
    },
    clear(): void {
      if (shown > Number.NEGATIVE_INFINITY) output.write('\r\x1b[2K')
      shown = Number.NEGATIVE_INFINITY
    },
  }
}

const BAR = 20 // columns

function bar(done: number, total: number): string {
  return '█'.repeat(Math.floor((BAR * done) / total)).padEnd(BAR, '░')
}

function where({ epoch, epochs, stepInEpoch, stepsPerEpoch }: ProgressEvent): string {
  return `epoch ${epoch + 1}/${epochs} step ${stepInEpoch}/${stepsPerEpoch}`
}

function progressText(event: ProgressEvent): string {
  const { loss, parts, lr, imagesPerSecond, dataWait, etaSeconds, skipped } = event
  const terms = Object.entries(parts).map(([name, value]) => `${name} ${figure(value)}`)
  return [
    `loss ${figure(loss)} (${terms.join(', ')})`,
    `lr ${lr.toPrecision(3)}`,
    `${imagesPerSecond.toFixed(1)} images/s`,
    `data wait ${percent(dataWait)}`,
    `ETA ${duration(etaSeconds)}`,
    ...(skipped > 0 ? [`${skipped} steps skipped`] : []),
  ].join('  ')
}

function startText(event: StartEvent): string {
  const { mean, std, normalisation } = event
  return [
    `run ${event.runDir}`,
    `${event.classes} classes, ${imagesText(event)} test images; ` +
      `mean ${mean.join(' ')}, std ${std.join(' ')} (${normalisation})`,
    `${event.device}, ${event.precision}, ${event.threads} threads, LibTorch ${event.libtorch}; ` +
      `${event.epochs} epochs of ${event.stepsPerEpoch} steps, from step ${event.step}`,
    settingsText(event),
  ].join('\n')
}

function imagesText({ trainSamples, validationSamples, testSamples }: StartEvent): string {
  const aside = validationSamples > 0 ? `, ${validationSamples} validation` : ''
  return `${trainSamples} training${aside} and ${testSamples}`
}

function settingsText(event: StartEvent): string {
  const { device, channelsLast, cudnnBenchmark, tf32, deterministic, cudaGraph } = event
  const onOff = (name: string, on: boolean) => `${name} ${on ? 'on' : 'off'}`
  return [
    onOff('channelsLast', channelsLast),
    onOff('deterministic', deterministic),
    ...(device === 'cuda'
      ? [onOff('cudnnBenchmark', cudnnBenchmark), onOff('tf32', tf32), `cudaGraph ${cudaGraph}`]
      : []),
  ].join(', ')
}

/** E.g. '12/100 images  31.3 images/s'. */
export function countText(done: number, total: number, what: string, seconds: number): string {
  return `${done}/${total} ${what}  ${(done / seconds).toFixed(1)} ${what}/s`
}

function classWeightsText({ weights }: ClassWeightsEvent): string {
  const [least, most] = [Math.min(...weights), Math.max(...weights)]
  return `class weights ${figure(least)} to ${figure(most)}, mean 1 over the training images`
}

function storeText({ mode, reason, bytes, files }: StoreEvent): string {
  const how = mode === 'off' ? 'decoded in every epoch' : files.join(', ')
  return `images: ${mode}, ${sizeText(bytes)} decoded (${reason}); ${how}`
}

function epochText(event: EpochEvent): string {
  const { epoch, epochs, train, validation, test, ema, lr, seconds } = event
  const figures = [
    `train loss ${figure(train.loss)} top-1 ${percent(train.top1)}`,
    ...(validation ? [evaluatedText('validation', validation)] : []),
    ...(test ? [evaluatedText('test', test)] : []),
    ...(ema ? [evaluatedText('ema', ema)] : []),
    `lr ${lr.toPrecision(3)}`,
    `${train.imagesPerSecond.toFixed(1)} images/s`,
    `data wait ${percent(train.dataWait)}`,
    `${seconds.toFixed(1)} s`,
    ...(train.skipped > 0 ? [`${train.skipped} steps skipped`] : []),
  ]
  return `epoch ${epoch + 1}/${epochs}  ${figures.join('  ')}`
}

function evaluatedText(what: EvaluatedSplit | 'ema', figures: TestFigures): string {
  const { loss, top1, top5, meanPerClass } = figures
  return (
    `${what} loss ${figure(loss)} top-1 ${percent(top1)} top-5 ${percent(top5)} ` +
    `mean per class ${percent(meanPerClass)}`
  )
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-'
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}
