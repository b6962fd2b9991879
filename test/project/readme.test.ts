// Every command in a ```sh block of the documentation exists: npm scripts, mcloss subcommands,
// programs and recipes of this repository.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
const commands = 'lib/cli/commands'
const subcommands = readdirSync(join(root, commands)).map((name) => name.replace('.ts', ''))
const groups = ['data', 'weights']

/** Of one of the groups. */
const subcommandsOf = (group: string): string[] =>
  [...read(`${commands}/${group}.ts`).matchAll(/\.command\('([a-z]+)/g)].map(
    ([, name = '']) => name,
  )

/** Commands of the page's sh blocks, continued lines joined, comments and variables taken off. */
function commandsOf(page: string): string[] {
  return [...read(page).matchAll(/^```(?:sh|bash|shell|console)\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.replaceAll('\\\n', ' ').split('\n'))
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/\s+#.*/, '')
        .trim(),
    )
    .map((line) => line.replace(/^([A-Z_]+=\S+ )+/, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
}

test('the lists this test reads are not empty', () => {
  expect(subcommands).toContain('train')
  expect(subcommands).not.toContain('check')
  expect(subcommandsOf('data')).toContain('check')
  expect(pages.flatMap(commandsOf).length).toBeGreaterThan(3)
})

test.each(pages)('%s names commands that exist', (page) => {
  for (const command of commandsOf(page)) {
    const [program, first = '', second = '', third = ''] = command.split(/\s+/)
    const where = `${page}: ${command}`
    if (program === 'npm' && first === 'run') expect(Object.keys(scripts), where).toContain(second)
    if (program === 'npm' && first === 'test') expect(Object.keys(scripts), where).toContain('test')
    if (program === 'npx' && first === 'mcloss') expect(subcommands, where).toContain(second)
    const isGroup = program === 'npx' && first === 'mcloss' && groups.includes(second)
    if (isGroup) expect(subcommandsOf(second), where).toContain(third)
    if (program === 'mcloss') expect(subcommands, where).toContain(first)
    if (program === 'node') {
      const file = first.replace(/^node_modules\/mcloss\//, '') // where an installation has it
      expect(existsSync(join(root, file)), where).toBe(true)
    }
    const paths = command.match(/(?<!\S)(examples|bench|scripts|docs|test)\/\S+\.\w+/g) ?? []
    for (const path of paths) {
      expect(existsSync(join(root, path)), where).toBe(true)
    }
  }
})

const picturesOf = (page: string) =>
  [...read(page).matchAll(/!\[([^\]]*)\]\(([^)]+)\)/g)].map(([, words = '', path = '']) => ({
    words,
    path: join(dirname(page), path),
  }))

test('every picture of the documentation is there, in less than 200 KB, and said in words', () => {
  const pictures = pages.flatMap(picturesOf)
  expect(picturesOf('README.md').length).toBeGreaterThan(3)
  for (const { words, path } of pictures) {
    expect(words.split(' ').length, path).toBeGreaterThan(4)
    expect(statSync(join(root, path)).size, path).toBeLessThan(200_000)
  }
  const shown = pictures.map(({ path }) => path)
  for (const name of readdirSync(join(root, 'docs/images'))) {
    expect(shown).toContain(`docs/images/${name}`)
  }
})

test('.ci/run runs the test command of the README', () => {
  const command = read('.ci/run')
    .trim()
    .split('\n')
    .at(-1)
    ?.replace(/^exec /, '')
  expect(command).toBe('npm test')
  expect(commandsOf('README.md')).toContain(command)
})

test('every npm script names a file or a tool that is there', () => {
  for (const [name, command] of Object.entries(scripts)) {
    // Variables come before the program.
    const words = command.split(' ').filter((word) => !/^[A-Z_]+=/.test(word))
    const [program, first = ''] = words
    const path = program === 'node' ? first : `node_modules/.bin/${program}`
    expect(existsSync(join(root, path)), `${name}: ${command}`).toBe(true)
  }
})
