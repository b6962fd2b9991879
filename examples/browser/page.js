// A picture, the five most probable classes, and the maps of the class that is chosen over the picture.

import * as ort from 'onnxruntime-web'

const MAPS_SHOWN = 12 // a class of few classes may have hundreds

/**
 * What the model says of itself.
 *
 * @typedef {object} About
 * @property {string[]} classes
 * @property {Preprocessing} preprocessing
 * @property {{ begin: number, end: number }[]} groups the channels of each class; empty without MC-Loss
 *
 * @typedef {object} Preprocessing
 * @property {'u8' | 'f32'} input
 * @property {number | null} cropBottom
 * @property {{ height: number, width: number }} resize
 * @property {{ top: number, left: number, height: number, width: number }} crop
 */

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id))
const [input, status] = [/** @type {HTMLInputElement} */ (part('file')), part('status')]

ort.env.wasm.wasmPaths = new URL('ort/', location.href).href
ort.env.wasm.numThreads = 1 // more need a page that is isolated from other origins

try {
  const [about, session] = await Promise.all([
    fetch('model.json').then((answer) => answer.json()),
    ort.InferenceSession.create('model.onnx'),
  ])
  if (about.preprocessing.input !== 'u8') throw new Error('export it with --input u8')
  input.disabled = false
  status.textContent = 'The model is ready.'
  input.addEventListener('change', () => {
    const file = input.files?.[0]
    if (file) classify(file, about, session)
  })
} catch (error) {
  status.textContent = `The model cannot be used: ${messageOf(error)}`
}

/** @param {File} file @param {About} about @param {ort.InferenceSession} session */
async function classify(file, about, session) {
  input.disabled = true // one picture at a time
  status.textContent = 'The picture is being looked at.'
  part('result').hidden = true
  try {
    const picture = await prepared(file, about.preprocessing)
    const { width, height } = picture
    const { data } = context(picture).getImageData(0, 0, width, height)
    const rgb = new Uint8Array(data.filter((_, at) => at % 4 !== 3))
    const image = new ort.Tensor('uint8', rgb, [1, height, width, 3])
    const { probabilities, maps } = await session.run({ image })
    show(picture, about, Array.from(valuesOf(probabilities)), maps)
    status.textContent = file.name
  } catch (error) {
    status.textContent = `${file.name} cannot be used: ${messageOf(error)}`
  }
  input.disabled = false
}

/**
 * As the model was trained: rows cut off, resized, a part of it cut out. `mcloss predict` leaves the
 * orientation and the colour profile of a photo alone, and so does this.
 *
 * @param {File} file @param {Preprocessing} preprocessing
 */
async function prepared(file, { cropBottom, resize, crop }) {
  const options = /** @type {const} */ ({ imageOrientation: 'none', colorSpaceConversion: 'none' })
  const bitmap = await createImageBitmap(file, options)
  const [used, canvas] = [bitmap.height - (cropBottom ?? 0), canvasOf(crop.width, crop.height)]
  const brush = context(canvas)
  brush.fillRect(0, 0, crop.width, crop.height)
  brush.imageSmoothingQuality = 'high'
  const { width, height } = resize
  brush.drawImage(bitmap, 0, 0, bitmap.width, used, -crop.left, -crop.top, width, height)
  bitmap.close()
  return canvas
}

/** @param {ort.Tensor=} output */
const valuesOf = (output) => /** @type {Float32Array} */ (output?.data)

/**
 * @param {HTMLCanvasElement} picture @param {About} about @param {number[]} probabilities
 * @param {ort.Tensor=} maps
 */
function show(picture, { classes, groups }, probabilities, maps) {
  const ranked = probabilities.map((probability, label) => ({ probability, label }))
  ranked.sort((a, b) => b.probability - a.probability)
  const buttons = ranked.slice(0, 5).map(({ probability, label }) => {
    const percent = `${(100 * probability).toFixed(1)} %`
    const button = document.createElement('button')
    const [name, value] = [document.createElement('span'), document.createElement('span')]
    button.style.setProperty('--share', percent.replace(' ', ''))
    name.textContent = classes[label] ?? ''
    value.textContent = percent
    button.append(name, value)
    button.addEventListener('click', () => choose(button, label))
    return button
  })
  /** @param {HTMLElement} chosen @param {number} label */
  const choose = (chosen, label) => {
    for (const button of buttons) button.setAttribute('aria-pressed', `${button === chosen}`)
    showMaps(picture, classes[label] ?? '', groups[label], maps)
  }
  part('top').replaceChildren(
    ...buttons.map((button) => {
      const item = document.createElement('li')
      item.append(button)
      return item
    }),
  )
  buttons[0]?.click()
  part('result').hidden = false
}

/**
 * @param {HTMLCanvasElement} picture @param {string} name @param {About['groups'][number]=} group
 * @param {ort.Tensor=} maps
 */
function showMaps(picture, name, group, maps) {
  const large = /** @type {HTMLCanvasElement} */ (part('picture'))
  large.width = picture.width
  large.height = picture.height
  part('maps').replaceChildren()
  if (!group || !maps) {
    context(large).drawImage(picture, 0, 0)
    part('about').textContent = maps
      ? 'This model was not trained with the MC-Loss, so no map belongs to a class.'
      : 'This model was exported without its maps.'
    return
  }
  const [, , height = 0, width = 0] = maps.dims
  const area = height * width
  const channels = Array.from({ length: group.end - group.begin }, (_, at) => {
    const first = (group.begin + at) * area
    return valuesOf(maps).subarray(first, first + area)
  })
  // One scale for all maps of the class.
  const largest = new Float32Array(area).map((_, at) =>
    channels.reduce((top, map) => Math.max(top, map[at] ?? 0), 0),
  )
  const most = largest.reduce((top, value) => Math.max(top, value), 0)
  drawOver(large, picture, { values: largest, width, height, most })
  const shown = channels.slice(0, MAPS_SHOWN)
  const some = shown.length < channels.length ? ` The first ${shown.length} are shown.` : ''
  part('about').textContent =
    `Where the ${channels.length} maps of ${name} are strong: large all of them, small each alone.${some}`
  const small = shown.map((values, at) => {
    const canvas = canvasOf(picture.width, picture.height)
    canvas.setAttribute('role', 'img')
    canvas.setAttribute('aria-label', `Map ${at + 1} of ${name}`)
    drawOver(canvas, picture, { values, width, height, most })
    return canvas
  })
  part('maps').replaceChildren(...small)
}

/**
 * @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} picture
 * @param {{ values: Float32Array, width: number, height: number, most: number }} map
 */
function drawOver(canvas, picture, { values, width, height, most }) {
  const brush = context(canvas)
  brush.filter = 'grayscale(1) brightness(0.6)'
  brush.drawImage(picture, 0, 0)
  brush.filter = 'none'
  const heat = canvasOf(width, height)
  const pixels = context(heat).createImageData(width, height)
  for (const [at, value] of values.entries()) {
    const share = most > 0 ? Math.max(value, 0) / most : 0
    // From nothing over red to yellow.
    pixels.data.set([255, 255 * share ** 2, 0, 210 * share], 4 * at)
  }
  context(heat).putImageData(pixels, 0, 0)
  brush.imageSmoothingQuality = 'high'
  brush.drawImage(heat, 0, 0, canvas.width, canvas.height)
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return canvas
}

/** @param {HTMLCanvasElement} canvas */
const context = (canvas) =>
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }))

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}
