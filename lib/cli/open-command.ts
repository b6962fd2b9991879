/** What opens a file in the browser, for a shell. */
export function openCommand(path: string): string {
  return /^[\w./+@%-]+$/.test(path)
    ? `xdg-open ${path}`
    : `xdg-open '${path.replaceAll("'", "'\\''")}'`
}
