import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { alias: { mcloss: fileURLToPath(new URL('lib/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/temporary-folders.ts',
    pool: 'forks',
    // More than cores: many tests wait for processes and timers of their own.
    maxWorkers: 3,
    // Only against hanging: ten times what the longest takes on a quiet machine.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } }, // a second is too short for a busy machine
  },
})
