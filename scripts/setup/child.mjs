// @ts-check
// Child processes: one that shows its output, one whose output is read.

import { spawn } from 'node:child_process'

/**
 * Runs a command with our own standard streams.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<number>} the exit code; 127 when the command is not there, 1 for a signal
 */
export function show(command, args, options = {}) {
  return new Promise((settle) => {
    const child = spawn(command, args, { ...options, stdio: 'inherit' })
    child.on('error', () => settle(127))
    child.on('close', (code) => settle(code ?? 1))
  })
}

/**
 * Runs a command and collects its output.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, echo?: boolean}} [options] echo: also show it
 * @returns {Promise<{code: number, stdout: string, stderr: string}>}
 */
export function read(command, args, { echo = false, ...options } = {}) {
  return new Promise((settle) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => {
      stdout += data
      if (echo) process.stdout.write(data)
    })
    child.stderr.on('data', (data) => {
      stderr += data
      if (echo) process.stderr.write(data)
    })
    child.on('error', (error) => settle({ code: 127, stdout, stderr: error.message }))
    child.on('close', (code) => settle({ code: code ?? 1, stdout, stderr }))
  })
}
