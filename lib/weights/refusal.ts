// The two ways in which a file is no file of weights. lib/weights/read.ts makes E_WEIGHTS of both.

/** It is of the format, and something in it cannot be right, or could do harm. */
export class Refusal extends Error {
  constructor(
    problem: string,
    readonly advice = 'It is damaged, cut short or not made by torch.save: download or save it again',
  ) {
    super(problem)
  }
}

/** Bytes end before what they hold does: more of the file may help. */
export class EndOfBytes extends Refusal {}

/** It is a sound file of another kind, or weights in a form that is not read. */
export class OtherKind extends Error {
  constructor(
    readonly what: string,
    readonly advice: string,
  ) {
    super(what)
  }
}

/** A name out of a file, for a message: quoted, escaped, of bearable length. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name)
}

/** At most 20 lines, then how many more there are. */
export function listed(lines: string[]): string {
  const more = lines.length - 20
  const first = lines.slice(0, 20).map((line) => `\n  ${line}`)
  return first.join('') + (more > 0 ? `\n  and ${more} more` : '')
}
