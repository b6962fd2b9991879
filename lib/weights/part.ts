// A file while it is being written: beside its final name, under a name of its own, so that no two
// writers ever share one. It is hashed as it grows, and becomes the final file by rename. What a
// killed writer left is gone on with, as a copy.

import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Digest, fileChunks, RunningDigest } from './digest.js'

/** Of this process, by path; other processes are asked for by their number. */
const inUse = new Set<string>()

export class Part {
  #digest = new RunningDigest()

  private constructor(
    readonly target: string,
    readonly path: string,
    readonly file: FileHandle,
  ) {}

  /** Makes the folder too. */
  static async begin(target: string): Promise<Part> {
    await mkdir(dirname(target), { recursive: true })
    const path = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.part`
    inUse.add(path)
    return new Part(target, path, await open(path, 'ax'))
  }

  /** Takes over the longest that earlier writers left, and removes what nobody writes any more. */
  async adopt(): Promise<void> {
    const others = await leftParts(this.target)
    const longest = others.find(({ path }) => path !== this.path)
    if (longest) await this.appendFile(longest.path)
    for (const { path, writer } of others) if (isGone(path, writer)) await rm(path, { force: true })
  }

  /** Written so far. */
  get bytes(): number {
    return this.#digest.bytes
  }

  /** Of what is written so far. */
  digest(): Digest {
    return this.#digest.result()
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.file.appendFile(bytes)
    this.#digest.add(bytes)
  }

  async appendFile(path: string, signal?: AbortSignal): Promise<void> {
    for await (const bytes of fileChunks(path, signal)) await this.append(bytes)
  }

  async restart(): Promise<void> {
    await this.file.truncate(0)
    this.#digest = new RunningDigest()
  }

  /** Flushed before it gets its final name. */
  async finish(): Promise<void> {
    await this.file.sync()
    await this.file.close()
    await rename(this.path, this.target)
    inUse.delete(this.path)
    const folder = await open(dirname(this.target))
    await folder.sync().finally(() => folder.close())
  }

  /** For a later writer to go on with, if there is something in it. */
  async leave(): Promise<void> {
    if (this.bytes === 0) return this.remove()
    await this.file.close()
    inUse.delete(this.path)
  }

  async remove(): Promise<void> {
    await this.file.close()
    await rm(this.path, { force: true })
    inUse.delete(this.path)
  }
}

/** The longest first. */
async function leftParts(target: string) {
  const folder = dirname(target)
  const parts: { path: string; writer: number; size: number }[] = []
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(target)}.`)) continue
    const writer = /^\.(\d+)-[0-9a-f]{8}\.part$/.exec(name.slice(basename(target).length))?.[1]
    if (writer === undefined) continue
    const path = join(folder, name)
    // It may have got its final name just now.
    const found = await stat(path).catch(() => undefined)
    if (found) parts.push({ path, writer: Number(writer), size: found.size })
  }
  return parts.sort((a, b) => b.size - a.size)
}

function isGone(path: string, writer: number): boolean {
  if (writer === process.pid) return !inUse.has(path)
  try {
    process.kill(writer, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
