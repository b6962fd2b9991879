// For lib/, which is compiled without the scripts.

/** The C++ compiler and its first arguments. */
export function cxx(env?: NodeJS.ProcessEnv): string[]
/** The CUDA compiler, if there is one. */
export function findNvcc(env?: NodeJS.ProcessEnv): string | undefined
