// The rules of docs/architecture.md as pure functions over {path: text}, so that a fault can be planted
// in a copy of the tree. Each returns what it finds, one line a violation.

import { posix } from 'node:path'

/** Path from the root of the repository to content. */
export type Files = Record<string, string>

/** Every file with the files of the same tree that it takes in. */
type Graph = Map<string, string[]>

const matches = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, found = '']) => found)

// ---- lib/ ----

/** What a module names in `import`, `export ... from` and `import()`. */
const imported = (text: string) => matches(text, /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)

/** Types are erased; this is what a module loads when it runs. */
const loaded = (text: string) =>
  imported(text.replace(/^(?:import|export) type (?:\*|\w+|\{[^}]*\}) from '[^']+'/gm, ''))

function moduleGraph(files: Files, names: (text: string) => string[]): Graph {
  const target = (file: string, name: string) =>
    posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts')
  return new Map(
    Object.entries(files).map(([file, text]) => [
      file,
      names(text).map((name) => (name.startsWith('.') ? target(file, name) : name)),
    ]),
  )
}

/** lib/data/loader.ts is of the room data, lib/errors.ts is the room errors. */
const roomOf = (file: string) => file.replace(/^lib\/([^/.]+).*$/, '$1')

/** The last indented block of the page's section Layers: a floor a line, the lowest first. */
export function floorsOf(page: string): string[][] {
  const [section = ''] = matches(page, /^## Layers\n([\s\S]*?)(?=^## )/gm)
  const [block = ''] = matches(section, /\n\n((?: {4}.*\n)+)/g).slice(-1)
  return block
    .trim()
    .split('\n')
    .map((floor) => floor.trim().split(/\s+/))
}

/** Arrows between rooms lead to an earlier floor, and no files import each other in a circle. */
export function libArrows(files: Files, floors: string[][]): string[] {
  const graph = moduleGraph(files, imported)
  const floorOf = (file: string) => floors.findIndex((rooms) => rooms.includes(roomOf(file)))
  const wrong: string[] = []
  for (const [file, targets] of graph) {
    if (floorOf(file) < 0) wrong.push(`${file} is in no room of docs/architecture.md`)
    for (const target of targets.filter((name) => name.startsWith('lib/'))) {
      if (!(target in files)) wrong.push(`${file} -> ${target}, which is not there`)
      else if (roomOf(target) !== roomOf(file) && floorOf(target) >= floorOf(file)) {
        wrong.push(`${file} -> ${target}`)
      }
    }
  }
  return [...wrong, ...circles(graph)]
}

/** Who alone may write to the terminal, import sharp, load the add-on. */
export function libOwners(files: Files): string[] {
  const owners: [RegExp, RegExp][] = [
    [
      /\bconsole\.|\bprocess\.(?:stdout|stderr|exit)|['"](?:node:)?(?:process|console)['"]/,
      /^lib\/cli\//,
    ],
    [/['"]sharp['"]/, /^lib\/data\/images\.ts$/],
    [/createRequire|dlopen|\brequire\(/, /^lib\/binding\.ts$/],
  ]
  return Object.entries(files).flatMap(([file, text]) =>
    owners.flatMap(([pattern, owner]) => {
      const found = owner.test(file) ? null : pattern.exec(text)
      return found ? [`${file}: ${found[0]}`] : []
    }),
  )
}

/** What `import` of a module loads: files of the tree and packages. */
export function loadedBy(files: Files, entry: string): string[] {
  const graph = moduleGraph(files, loaded)
  const seen = new Set([entry])
  for (const file of seen) for (const target of graph.get(file) ?? []) seen.add(target)
  return [...seen]
}

// ---- native/ ----

/** Files of an earlier floor may be included, those of the own one within the same folder alone. */
const nativeFloors = [
  ['types.h'],
  ['scalars.h', 'named_rows.h'],
  ['ops', 'io'],
  ['models'],
  ['losses'],
  ['train'],
  ['napi'],
]

/** Native includes point down, and into ops/ through its public headers alone. */
export function nativeIncludes(files: Files): string[] {
  const graph: Graph = new Map()
  const wrong: string[] = []
  for (const [file, text] of Object.entries(files)) {
    const targets = matches(text, /^\s*#\s*include\s*"([^"]+)"/gm).map((name) => `native/${name}`)
    graph.set(file, targets)
    for (const target of targets) {
      if (!(target in files)) wrong.push(`${file} -> ${target}, which is not there`)
      else if (!pointsDown(file, target) || !mayEnter(file, target))
        wrong.push(`${file} -> ${target}`)
    }
    for (const header of matches(text, /^\s*#\s*include\s*<([^>]+)>/gm)) {
      const isNode = header === 'napi.h' && !file.startsWith('native/napi/')
      const isTensor = /^(?:ATen|c10|torch)\//.test(header) && file.startsWith('native/ops/kernel/')
      if (isNode || isTensor) wrong.push(`${file} -> <${header}>`)
    }
  }
  return [...wrong, ...circles(graph)]
}

function pointsDown(file: string, target: string): boolean {
  const room = (path: string) => path.split('/')[1] ?? ''
  const floor = (path: string) => nativeFloors.findIndex((rooms) => rooms.includes(room(path)))
  return room(file) === room(target) || floor(target) < floor(file)
}

/** ops/x/ is private to x, ops/kernel/ to ops. */
function mayEnter(file: string, target: string): boolean {
  const folder = (path: string) => /^native\/ops\/([^/]+)\//.exec(path)?.[1]
  const entered = folder(target)
  if (entered === undefined || entered === folder(file)) return true
  return entered === 'kernel' && file.startsWith('native/ops/')
}

// ---- circles ----

/** Each circle once, e.g. 'circle: a -> b -> a'. */
function circles(graph: Graph): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: string[]) => {
    const begin = path.indexOf(file)
    if (begin >= 0) found.push(`circle: ${[...path.slice(begin), file].join(' -> ')}`)
    if (begin >= 0 || done.has(file)) return
    for (const target of graph.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}
