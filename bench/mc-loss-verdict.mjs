// What follows from the check of the operator's forms (bench/peers/mc_loss_forms.py): whether a row holds, and
// which of a user's forms is its peer.

import { median } from './statistics.mjs'

/** Whether the forms of a row hold, and how closely. checked: the answer to 'check'. */
export function verdict(checked, forms) {
  const cells = forms.map((form) => {
    const { loss, lossError, gradientError } = checked[form]
    return `${form} ${loss?.toFixed(5) ?? 'not finite'} (${[lossError, gradientError].map(apart).join(', ')})`
  })
  const ok = forms.every((form) => checked[form].ok)
  const leftOut = (100 * checked.leftOut).toFixed(2)
  return {
    ok,
    text:
      `loss (relative difference of loss, gradient from float64): ` +
      `${cells.join(', ')}; ${leftOut} % of the channels nearly tie and are left out`,
  }
}

/** A relative difference; null: it is not finite. */
export const apart = (error) => error?.toExponential(1) ?? 'not finite'

/** Of a user's forms the faster one. A form that computes something else is no peer, unless all do: the
 * check then voids the row. times: milliseconds by form. */
export function fasterOf(forms, times, checked) {
  const right = forms.filter((form) => checked[form].ok)
  return (right.length > 0 ? right : forms).reduce((best, form) =>
    median(times[form]) < median(times[best]) ? form : best,
  )
}
