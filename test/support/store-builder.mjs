// A process of its own that builds the stores of a dataset: argv = JSON {dataset, options}. Run by
// test/lib/data/store/kill.test.ts, which kills it.

import { prepareStores } from '../../dist/data/store/index.js'

const { dataset, options } = JSON.parse(process.argv[2])
const onEvent = ({ type, done }) => {
  if (type === 'prepare') process.stdout.write(`${done}\n`)
}
await prepareStores(dataset, options, { onEvent })
process.stdout.write('finished\n')
