// Redirects of https, which no server of the tests speaks: fetch is replaced by a list of answers.

import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { fetchWeights } from '../../../lib/weights/fetch.js'
import { temporaryFolder } from '../../support/folders.js'

const { asked, answers } = vi.hoisted(() => ({
  asked: [] as { url: string; authorization: string | null }[],
  answers: {} as Record<string, string>,
}))

vi.mock('../../../scripts/setup/proxy.mjs', () => ({
  fetchThroughProxy: async (url: string, { headers }: RequestInit) => {
    asked.push({ url, authorization: new Headers(headers).get('authorization') })
    const location = answers[url]
    return location === undefined
      ? new Response('none', { status: 404 })
      : new Response(null, { status: 302, headers: { location } })
  },
}))

const sha256 = '0'.repeat(64)

beforeEach(() => {
  asked.length = 0
  for (const name of ['HF_ENDPOINT', 'HF_HUB_OFFLINE', 'MCLOSS_WEIGHTS_URL']) vi.stubEnv(name, '')
  vi.stubEnv('HOME', temporaryFolder())
  vi.stubEnv('HF_TOKEN', 'secret')
})

const refused = (url: string) =>
  fetchWeights(url, { sha256, to: join(temporaryFolder(), 'to') }).catch((error) => error)

test('https does not lead to http', async () => {
  answers['https://files.example/a.pth'] = 'http://files.example/a.pth'
  const error = await refused('https://files.example/a.pth')
  expect(error.message).toMatch(/redirected to http:\/\/files.example\/a.pth, not to https:/)
  expect(asked).toEqual([{ url: 'https://files.example/a.pth', authorization: null }])
})

test("the token is Hugging Face's, and stays there", async () => {
  const page = 'https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors'
  answers[page] = 'https://cdn.example/blob'
  await refused('resnet18.a1_in1k')
  expect(asked).toEqual([
    { url: page, authorization: 'Bearer secret' },
    { url: 'https://cdn.example/blob', authorization: null },
  ])
  asked.length = 0
  await refused('https://huggingface.co.evil.example/a.pth')
  expect(asked.map(({ authorization }) => authorization)).toEqual([null])
})
