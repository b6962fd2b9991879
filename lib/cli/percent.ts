/** A share 0..1 in words: '12.5 %'; '-' for one that is not finite. */
export function percent(share: number, digits = 1): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '-'
}

/** A figure in words; '-' for one that is not finite: there is none to show. */
export function figure(value: number, digits = 3): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '-'
}
