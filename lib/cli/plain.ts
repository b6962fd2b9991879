/** Control characters of a file's name would be the terminal's. */
export function plain(text: string): string {
  const code = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0')
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\x${code(character)}`)
}
