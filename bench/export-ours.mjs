// Our side of bench/export.mjs: one export in a process of its own. Argument: JSON {weights, out}; prints
// {seconds, bytes, grown: bytes}.

import { exportModel } from '../dist/index.js'
import { resident } from './resident.mjs'

const { weights, out } = JSON.parse(process.argv[2])
const before = resident('VmRSS')
const began = performance.now()
const { bytes } = await exportModel({ weights, out, format: 'onnx' })
const seconds = (performance.now() - began) / 1000
console.log(JSON.stringify({ seconds, bytes, grown: resident('VmHWM') - before }))
