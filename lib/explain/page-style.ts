// How index.html looks: one column on a narrow screen, light or dark as the reader's system is.

import { INFERNO } from '../maps/heat.js'

export const pageStyle = `
:root { color-scheme: light dark; --text: #1d1f23; --soft: #5a5f69; --back: #fff; --line: #d9dce1;
  --error: #a3171f }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e9ec; --soft: #a9adb6; --back: #16181c; --line: #363a42; --error: #ff9a9a }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
main { max-width: 1100px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.6rem; margin: 0 0 .5rem }
h2 { font-size: 1.2rem; margin: 0 0 .5rem }
h3 { font-size: 1rem; margin: 1rem 0 0 }
h3:first-child { margin-top: 0 }
p { max-width: 70ch }
section { border-top: 1px solid var(--line); padding: 1rem 0; margin-top: 1rem }
figure { margin: 0 }
figcaption, .facts, .note { color: var(--soft); font-size: .875rem }
.facts { margin: 0 0 .5rem }
.error { color: var(--error) }
img { display: block; max-width: 100%; height: auto }
.picture { max-width: 192px }
.explained { display: grid; gap: 1rem 24px }
@media (min-width: 700px) { .explained { grid-template-columns: 192px 1fr } }
.maps { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)) }
.legend { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; font-size: .875rem }
.scale { width: 160px; height: 14px; border: 1px solid var(--line);
  background: linear-gradient(to right, ${INFERNO.map((hex) => `#${hex}`).join(', ')}) }
.wide { overflow-x: auto; margin-bottom: 1rem }
.wide img { max-width: none }
table { border-collapse: collapse }
th, td { text-align: start; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line);
  min-width: 6ch }
`
