// The delay of this process's event loop.

import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The delays while `work` runs, milliseconds above the 1 ms of the timer that measures them. */
export async function delaysDuring(work) {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  monitor.enable()
  await work()
  monitor.disable()
  const above = (nanoseconds) => Number((nanoseconds / 1e6 - 1).toFixed(2))
  return {
    p50: above(monitor.percentile(50)),
    p99: above(monitor.percentile(99)),
    max: above(monitor.max),
    count: monitor.count,
  }
}
