// What the functions of this room that are exported take, for their checks.

import { z } from 'zod'
import { callback, record, signal, text } from '../arguments.js'
import { LOADED_SPLITS, SPLITS } from './batch.js'

const pair = z.array(z.number()).length(2)
const three = z.array(z.number()).length(3)
const split = z.enum(SPLITS)

const loaderData = record({
  resize: pair,
  crop: pair,
  padding: z.number(),
  flip: z.boolean(),
  jitter: record({
    brightness: z.number(),
    contrast: z.number(),
    saturation: z.number(),
  }).optional(),
  prefetch: z.number(),
  decoders: z.number(),
  validation: z.number().optional(),
})

export const loaderShape = record({
  seed: z.number(),
  data: loaderData,
  optim: record({ batchSize: z.number(), dropLast: z.boolean() }),
})

export const epochShape = record({
  epoch: z.number(),
  split: z.enum(LOADED_SPLITS),
  source: record({ badImages: record({}) }).optional(),
  startBatch: z.number().optional(),
  rank: z.number().optional(),
  worldSize: z.number().optional(),
  signal: signal.optional(),
})

export const sheetConfigShape = record({
  seed: z.number(),
  data: loaderData.extend({ mean: three.optional(), std: three.optional() }),
})

export const sheetShape = record({
  split,
  epoch: z.number(),
  count: z.number(),
  signal: signal.optional(),
})

export const storeShape = record({
  out: text,
  device: z.enum(['cpu', 'cuda']),
  data: record({
    resize: pair,
    decoders: z.number(),
    store: z.enum(['auto', 'mmap', 'ram', 'gpu', 'off']),
    storeDir: text.optional(),
    onBadImage: z.enum(['error', 'skip']),
  }),
})

export const openShape = record({
  signal: signal.optional(),
  onEvent: callback.optional(),
  verify: z.boolean().optional(),
})
