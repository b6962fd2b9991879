// Figures in words. A figure that is not there, or not finite, is a dash.

type Figure = number | null | undefined

export function percentText(share: Figure, digits = 1): string {
  return Number.isFinite(share) ? `${(100 * (share as number)).toFixed(digits)} %` : '–'
}

export function pointsText(share: Figure): string {
  if (!Number.isFinite(share)) return '–'
  const points = 100 * (share as number)
  return `${points > 0 ? '+' : ''}${points.toFixed(1)}`
}

/** Three or so digits that count. */
export function figureText(value: Figure): string {
  if (!Number.isFinite(value)) return '–'
  const number = value as number
  const size = Math.abs(number)
  if (number === 0 || Number.isInteger(number)) return String(number)
  if (size < 0.001) return number.toExponential(2)
  return number.toFixed(size < 1 ? 4 : size < 100 ? 3 : 1)
}

export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
