/** A share 0..1 in words: '12.5 %'. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`
}
