// The numbers of an event with their names: the columns of metrics.csv and the curves of TensorBoard.

/** Every number in it, however deep: {train: {loss: 2}} is train.loss with '.', in the order of its keys. */
export function figuresOf(event: object, separator: string): [name: string, value: number][] {
  return Object.entries(event).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[name, value]]
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
    return figuresOf(value, separator).map(([inner, of]) => [`${name}${separator}${inner}`, of])
  })
}
