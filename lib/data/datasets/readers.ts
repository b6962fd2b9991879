// Every reader, and what it exports beside itself.

export { csv } from './csv.js'
export { CUB200_OFFICIAL, cub200 } from './cub200.js'
export {
  type DrawnBirdsOptions,
  drawnBirds,
  drawnBirdsOptions,
  writeDrawnBirds,
} from './drawn-birds.js'
export {
  AIRCRAFT_OFFICIAL,
  type AircraftLevel,
  aircraftOptions,
  fgvcAircraft,
} from './fgvc-aircraft.js'
export { FLOWERS102_OFFICIAL, flowers102 } from './flowers102.js'
export { imageFolder } from './image-folder.js'
export { CARS_OFFICIAL, stanfordCars } from './stanford-cars.js'
