// docs/guide.md as someone follows it: its commands in its order, in one folder.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { ConfigInput } from '../../lib/config/index.js'

const guide = readFileSync(join(import.meta.dirname, '../../docs/guide.md'), 'utf8')

export interface Reader {
  /** For a command of npm, for `mcloss setup`, and for the download of weights. */
  install(command: string): void
  /** photos.json, from the guide's. */
  configured(config: ConfigInput): object
}

/** What each command printed; of a server what it answered to a request. */
export async function followGuide(folder: string, { install, configured }: Reader) {
  const printed = new Map<string, string>()
  const servers: ChildProcess[] = []
  const PATH = [join(folder, 'node_modules/.bin'), process.env.PATH].join(delimiter)
  const options = { cwd: folder, env: { ...process.env, PATH } }
  let address = ''
  try {
    for (const [, language, block = ''] of guide.matchAll(/^```(json|sh)\n([\s\S]*?)^```/gm)) {
      if (language === 'json') {
        writeFileSync(join(folder, 'photos.json'), JSON.stringify(configured(JSON.parse(block))))
        continue
      }
      // A loop is one command: its other lines are indented or end it.
      for (const command of block.trim().split(/\n(?! |done)/)) {
        const { program, words } = wordsOf(command)
        if (program === 'npm' || /^npx mcloss (setup|weights fetch)/.test(command)) install(command)
        else if (program === 'node') {
          const port = command.includes('server.mjs') ? '--port=0' : '0'
          const stdio = ['ignore', 'pipe', 'inherit'] as const
          const server = spawn(program, [...words, port], { ...options, stdio: [...stdio] })
          servers.push(server)
          const [line] = await once(server.stdout as NonNullable<typeof server.stdout>, 'data')
          address = String(line).trim()
          printed.set(command, await (await fetch(address)).text())
        } else if (program === 'curl') {
          const { pathname } = new URL(words.at(-1) ?? '')
          const body = readFileSync(join(folder, /@(\S+)/.exec(command)?.[1] ?? ''))
          const answer = await fetch(new URL(pathname, address), { method: 'POST', body })
          printed.set(command, await answer.text())
        } else {
          // npx takes half a second to find what lies in node_modules/.bin.
          const script = command.replace(/^npx /, '')
          const { stdout } = await promisify(execFile)('sh', ['-euc', script], options)
          printed.set(command, stdout)
        }
      }
    }
  } finally {
    for (const server of servers) server.kill()
  }
  return printed
}

function wordsOf(command: string) {
  const [program = '', ...words] = command.split(' ')
  return { program, words }
}
