// Events for people and for programs: a progress bar on a terminal, plain lines elsewhere, and the
// run's metrics.jsonl.

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { Presets, SingleBar } from 'cli-progress'
import { gigabytes } from '../data/store/mode.js'
import { McLossError } from '../errors.js'
import type {
  EpochEvent,
  PrepareEvent,
  ProgressEvent,
  RunEvent,
  StartEvent,
  StoreEvent,
} from '../events.js'

export interface LoggerOptions {
  stream: NodeJS.WritableStream
  isTty: boolean
}

export interface Logger {
  show(event: RunEvent): void
  /** Takes the bar away and gives the terminal back as it was; also when the run failed. */
  close(): void
}

/** Shows each event. On a terminal, progress is a bar; elsewhere it is a line. */
export function createLogger({ stream, isTty }: LoggerOptions): Logger {
  const print = (line: string) => stream.write(`${line}\n`)
  const bar = isTty ? progressBar(stream) : undefined
  let tenths = 0 // of a store, said so far
  const show = (event: RunEvent) => {
    if (event.type === 'progress') {
      if (bar) bar.show(event.stepInEpoch, event.stepsPerEpoch, where(event), progressText(event))
      else print(`${where(event)}  ${progressText(event)}`)
      return
    }
    if (event.type === 'prepare' && event.done < event.total) {
      const reached = Math.floor((10 * event.done) / event.total)
      if (bar) bar.show(event.done, event.total, `decoding ${event.split}`, prepareText(event))
      else if (reached > tenths) print(`decoding ${event.split}  ${prepareText(event)}`)
      tenths = reached
      return
    }
    bar?.clear()
    if (event.type === 'prepare') {
      tenths = 0
      print(`decoded ${event.split}  ${prepareText(event)}`)
    }
    if (event.type === 'start') print(startText(event))
    if (event.type === 'store') print(storeText(event))
    if (event.type === 'epoch') print(epochText(event))
    if (event.type === 'warning') print(`warning: ${event.message}`)
    if (event.type === 'checkpoint' && event.kind !== 'last') print(`${event.kind} ${event.path}`)
  }
  return { show, close: () => bar?.clear() }
}

/** A bar whose redraw timer does not keep a process alive that has ended with an error. */
class IdleBar extends SingleBar {
  declare timer: NodeJS.Timeout | null

  override render(): void {
    super.render()
    this.timer?.unref()
  }
}

function progressBar(stream: NodeJS.WritableStream) {
  const bar = new IdleBar(
    {
      stream,
      format: '{where} {bar} {text}',
      clearOnComplete: true,
      barsize: 20,
      gracefulExit: false, // signals are the command line's
    },
    Presets.shades_classic,
  )
  let running = false
  return {
    show(done: number, total: number, where: string, text: string) {
      if (!running) bar.start(total, 0, { where: '', text: '' })
      running = true
      bar.update(done, { where, text })
    },
    clear() {
      if (running) bar.stop()
      running = false
    },
  }
}

/** One line of a terminal that counts up, a few times a second; `close` takes it away. */
export function countProgress(stream: NodeJS.WritableStream, what: string) {
  const began = performance.now()
  let shown = Number.NEGATIVE_INFINITY
  return {
    show(done: number, total: number): void {
      const now = performance.now()
      if (now - shown < 200) return
      shown = now
      const rate = (1000 * done) / (now - began)
      stream.write(`\r\x1b[K${done}/${total} ${what}, ${rate.toFixed(0)}/s`)
    },
    close(): void {
      stream.write('\r\x1b[K')
    },
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`

function where({ epoch, epochs, stepInEpoch, stepsPerEpoch }: ProgressEvent): string {
  return `epoch ${epoch + 1}/${epochs} step ${stepInEpoch}/${stepsPerEpoch}`
}

function progressText(event: ProgressEvent): string {
  const { loss, parts, lr, imagesPerSecond, dataWait, etaSeconds, skipped } = event
  const terms = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(3)}`)
  return [
    `loss ${loss.toFixed(3)} (${terms.join(', ')})`,
    `lr ${lr.toPrecision(3)}`,
    `${imagesPerSecond.toFixed(1)} images/s`,
    `data wait ${percent(dataWait)}`,
    `ETA ${duration(etaSeconds)}`,
    ...(skipped > 0 ? [`${skipped} steps skipped`] : []),
  ].join('  ')
}

function startText(event: StartEvent): string {
  return [
    `run ${event.runDir}`,
    `${event.classes} classes, ${event.trainSamples} training and ${event.testSamples} test images`,
    `${event.device}, ${event.precision}, ${event.threads} threads, LibTorch ${event.libtorch}; ` +
      `${event.epochs} epochs of ${event.stepsPerEpoch} steps, from step ${event.step}`,
    settingsText(event),
  ].join('\n')
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

function prepareText({ done, total, seconds }: PrepareEvent): string {
  return `${done}/${total} images  ${(done / seconds).toFixed(1)} images/s`
}

function storeText({ mode, reason, bytes, files }: StoreEvent): string {
  const how = mode === 'off' ? 'decoded in every epoch' : files.join(', ')
  return `images: ${mode}, ${gigabytes(bytes)} decoded (${reason}); ${how}`
}

function epochText({ epoch, epochs, train, test, lr, seconds }: EpochEvent): string {
  const figures = [
    `train loss ${train.loss.toFixed(3)} top-1 ${percent(train.top1)}`,
    ...(test
      ? [
          `test loss ${test.loss.toFixed(3)} top-1 ${percent(test.top1)} top-5 ${percent(test.top5)}`,
        ]
      : []),
    `lr ${lr.toPrecision(3)}`,
    `${train.imagesPerSecond.toFixed(1)} images/s`,
    `data wait ${percent(train.dataWait)}`,
    `${seconds.toFixed(1)} s`,
    ...(train.skipped > 0 ? [`${train.skipped} steps skipped`] : []),
  ]
  return `epoch ${epoch + 1}/${epochs}  ${figures.join('  ')}`
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-'
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Where a run's events go: to whoever listens, and into its metrics.jsonl, one a line. */
export interface Journal {
  /** Progress is not written; what comes before `open` is written then. */
  emit(event: RunEvent): void
  /** @throws McLossError E_IO when RUN/metrics.jsonl cannot be opened; it is appended to. */
  open(runDir: string): Promise<void>
  /** Rejects with the first E_IO of a write. */
  close(): Promise<void>
}

export function journalOf(publish: (event: RunEvent) => void): Journal {
  let file: FileHandle | undefined
  let path = ''
  const early: string[] = []
  let written: Promise<unknown> = Promise.resolve()
  const failed = (cause: unknown): never => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new McLossError(
      'E_IO',
      `metrics: ${path} cannot be written: ${reason}. Free some space or set out to another folder.`,
      { cause },
    )
  }
  const write = (line: string) => {
    written = written.then(() => file?.appendFile(line))
    written.catch(() => {}) // close() reports it
  }
  return {
    emit(event) {
      if (event.type !== 'progress' && event.type !== 'prepare') {
        const line = `${JSON.stringify(event)}\n`
        if (file) write(line)
        else early.push(line)
      }
      publish(event)
    },
    async open(runDir) {
      path = join(runDir, 'metrics.jsonl')
      file = await open(path, 'a').catch(failed)
      for (const line of early.splice(0)) write(line)
    },
    async close() {
      try {
        await written.catch(failed)
      } finally {
        await file?.close()
      }
    },
  }
}
