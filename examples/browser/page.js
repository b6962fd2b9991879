// A picture, the five most probable classes, and the maps of the class that is chosen over the picture.

import * as ort from './ort/ort.wasm.min.mjs'

const MAPS_SHOWN = 12 // a class of few classes may have hundreds

/** @param {string} id @returns {any} */
const part = (id) => document.getElementById(id)
const [input, status] = [part('file'), part('status')]

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
    const [file] = input.files
    if (file) classify(file, about, session)
  })
} catch (error) {
  status.textContent = `The model cannot be used: ${messageOf(error)}`
}

/** @param {File} file @param {any} about @param {any} session */
async function classify(file, about, session) {
  input.disabled = true // one picture at a time
  status.textContent = 'The picture is being looked at.'
  part('result').hidden = true
  try {
    const picture = await prepared(file, about.preprocessing)
    const { width, height } = picture
    const { data } = context(picture).getImageData(0, 0, width, height)
    const rgb = data.filter((_, at) => at % 4 !== 3)
    const image = new ort.Tensor('uint8', new Uint8Array(rgb.buffer), [1, height, width, 3])
    const { probabilities, maps } = await session.run({ image })
    show(picture, about, Array.from(probabilities.data), maps)
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
 * @param {File} file @param {any} preprocessing
 */
async function prepared(file, { cropBottom, resize, crop }) {
  const options = /** @type {const} */ ({ imageOrientation: 'none', colorSpaceConversion: 'none' })
  const bitmap = await createImageBitmap(file, options)
  const [used, canvas] = [bitmap.height - (cropBottom ?? 0), canvasOf(crop.width, crop.height)]
  const brush = context(canvas)
  brush.fillRect(0, 0, crop.width, crop.height)
  brush.imageSmoothingQuality = 'high'
  const place = [-crop.left, -crop.top, resize.width, resize.height]
  brush.drawImage(bitmap, 0, 0, bitmap.width, used, ...place)
  bitmap.close()
  return canvas
}

/** @param {HTMLCanvasElement} picture @param {any} about @param {number[]} probabilities @param {any} maps */
function show(picture, { classes, groups }, probabilities, maps) {
  const labels = probabilities.map((_, label) => label)
  labels.sort((a, b) => probabilities[b] - probabilities[a])
  const buttons = labels.slice(0, 5).map((label) => {
    const percent = `${(100 * probabilities[label]).toFixed(1)} %`
    const [button, name, value] = ['button', 'span', 'span'].map((tag) =>
      document.createElement(tag),
    )
    button.style.setProperty('--share', percent.replace(' ', ''))
    name.textContent = classes[label]
    value.textContent = percent
    button.append(name, value)
    button.addEventListener('click', () => choose(button, label))
    return button
  })
  /** @param {HTMLElement} chosen @param {number} label */
  const choose = (chosen, label) => {
    for (const button of buttons) button.setAttribute('aria-pressed', `${button === chosen}`)
    showMaps(picture, classes[label], groups[label], maps)
  }
  part('top').replaceChildren(
    ...buttons.map((button) => {
      const item = document.createElement('li')
      item.append(button)
      return item
    }),
  )
  choose(buttons[0], labels[0])
  part('result').hidden = false
}

/** @param {HTMLCanvasElement} picture @param {string} name @param {any} group @param {any} maps */
function showMaps(picture, name, group, maps) {
  const large = part('picture')
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
  const [, , height, width] = maps.dims
  const area = height * width
  const channels = Array.from({ length: group.end - group.begin }, (_, at) => {
    const first = (group.begin + at) * area
    return maps.data.subarray(first, first + area)
  })
  // One scale for all maps of the class.
  const most = channels.reduce((top, map) => map.reduce((a, b) => Math.max(a, b), top), 0)
  const largest = channels[0].map((_, at) => Math.max(...channels.map((map) => map[at])))
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

/** @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} picture @param {any} map */
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

/** @param {HTMLCanvasElement} canvas @returns {any} */
const context = (canvas) => canvas.getContext('2d', { willReadFrequently: true })

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}
