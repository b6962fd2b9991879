// Every reader, and what it exports beside itself. What a script gives them is checked here.

import { z } from 'zod'
import { checkArgument, record, signal, text } from '../../arguments.js'
import * as csvFile from './csv.js'
import * as cub from './cub200.js'
import * as birds from './drawn-birds.js'
import * as aircraft from './fgvc-aircraft.js'
import * as flowers from './flowers102.js'
import * as folders from './image-folder.js'
import * as cars from './stanford-cars.js'

const optionsShape = record({
  root: text,
  checkFiles: z.boolean().optional(),
  signal: signal.optional(),
})

/** As `read`, which may rely on its options. */
function checked<Options, Result>(name: string, read: (options: Options) => Promise<Result>) {
  return async (options: Options): Promise<Result> => {
    checkArgument(`datasets.${name}`, 'options', optionsShape, options)
    return read(options)
  }
}

export const csv = checked('csv', csvFile.csv)
export const cub200 = checked('cub200', cub.cub200)
export const drawnBirds = checked('drawnBirds', birds.drawnBirds)
export const writeDrawnBirds = checked('writeDrawnBirds', birds.writeDrawnBirds)
export const fgvcAircraft = checked('fgvcAircraft', aircraft.fgvcAircraft)
export const flowers102 = checked('flowers102', flowers.flowers102)
export const imageFolder = checked('imageFolder', folders.imageFolder)
export const stanfordCars = checked('stanfordCars', cars.stanfordCars)
export { CUB200_OFFICIAL } from './cub200.js'
export { type DrawnBirdsOptions, drawnBirdsOptions } from './drawn-birds.js'
export { AIRCRAFT_OFFICIAL, type AircraftLevel, aircraftOptions } from './fgvc-aircraft.js'
export { FLOWERS102_OFFICIAL } from './flowers102.js'
export { CARS_OFFICIAL } from './stanford-cars.js'
