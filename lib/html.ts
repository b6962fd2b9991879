// HTML from templates in which every value is text: a name with markup stays a name. Only what such a
// template gave is taken as markup.

export class Html {
  constructor(readonly markup: string) {}
}

type Value = Html | readonly Html[] | string | number | null | undefined

/** html`<td>${name}</td>`: the value is escaped, unless it is Html; null and undefined are nothing. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  const texts = values.map((value, at) => markupOf(value) + (parts[at + 1] ?? ''))
  return new Html((parts[0] ?? '') + texts.join(''))
}

function markupOf(value: Value): string {
  if (value instanceof Html) return value.markup
  if (Array.isArray(value)) return value.map(markupOf).join('\n')
  return escaped(String(value ?? ''))
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text of HTML, or of XML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string)
}

/** A name from outside, of either direction of writing and any length. */
export function nameHtml(name: string): Html {
  return html`<bdi class="name">${name}</bdi>`
}

/** JSON that neither ends its script element nor breaks a line in it. */
export function scriptJson(value: unknown): Html {
  const code = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return new Html(JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, code))
}
