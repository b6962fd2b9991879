// A page that needs nothing but itself: its style, its scripts and its data within it, and a policy that
// lets the browser run these and fetch nothing.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Html, html, scriptJson } from '../html.js'
import { packageRoot, packageVersion } from '../machine.js'

/** What marks a file as a page of ours. */
export const GENERATOR = 'mcloss report'

export interface PageParts {
  title: string
  body: Html
  /** What the scripts read. */
  data: unknown
  /** Of lib/page, in their order. */
  scripts: readonly string[]
  /** What the page may do beyond showing itself, as directives of its policy. */
  policy?: readonly string[]
}

/** @throws what the disk says where a file of the package cannot be read. */
export async function pageOf(parts: PageParts): Promise<string> {
  const { title, body, data, scripts, policy: more = ['img-src data:'] } = parts
  const own = (name: string) => readFile(join(packageRoot, 'lib/page', name), 'utf8')
  const plot = (name: string) =>
    readFile(fileURLToPath(import.meta.resolve(`uplot/${name}`)), 'utf8')
  const style = `${await plot('dist/uPlot.min.css')}\n${await own('style.css')}`
  const library = await plot('dist/uPlot.iife.min.js')
  const script = (await Promise.all(scripts.map(own))).join('\n')
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(library)} ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    ...more,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="generator" content="${GENERATOR}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
${body}
<footer><p class="muted">Made by mcloss ${packageVersion()}.</p>
<details><summary>Licence of uPlot, which draws the charts</summary>
<pre tabindex="0">${await plot('LICENSE')}</pre></details></footer>
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${new Html(library)}</script>
<script type="module">${new Html(script)}</script>
</body>
</html>
`
  return page.markup
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
