// The one error class. Every message says who, expected, received, and what to do next.

/** What went wrong, for programs. */
export type ErrorCode =
  | 'E_ABORTED' // stopped by an AbortSignal or a signal; the run is saved
  | 'E_ARGUMENT' // a value a function cannot take
  | 'E_BUSY' // a run folder that another process is training in
  | 'E_CHECKPOINT' // a checkpoint folder that is missing, incomplete or of another model
  | 'E_CONFIG' // a configuration key or value
  | 'E_DATA' // a data root, list or label
  | 'E_DEVICE' // a device that is not there
  | 'E_IMAGE' // an image file that cannot be decoded
  | 'E_IO' // a file that cannot be read or written
  | 'E_NATIVE' // an error inside LibTorch
  | 'E_NATIVE_LOAD' // the native add-on cannot be loaded
  | 'E_NUMERICS' // a figure that is not finite where a result was asked for
  | 'E_OOM' // out of memory
  | 'E_SETUP' // LibTorch or sharp is not installed or does not load, or the build failed
  | 'E_STATE' // a call on a disposed trainer, or too many steps in flight
  | 'E_USAGE' // a command line that cannot be understood
  | 'E_WEIGHTS' // a weight file that is damaged or does not fit the model

export class McLossError extends Error {
  override readonly name = 'McLossError'

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The words of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
