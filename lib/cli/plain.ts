/** Control characters of a file's name would be the terminal's. Those that join letters are letters. */
export function plain(text: string): string {
  const code = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0')
  return text.replace(
    /(?!\p{Join_Control})[\p{Cc}\p{Cf}]/gu,
    (character) => `\\x${code(character)}`,
  )
}

/** The same of text that has lines. */
export function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n')
}
