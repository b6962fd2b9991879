// The page of the dashboard; lib/page/dashboard.js fills it.

import { html, nameHtml } from '../html.js'
import { pageOf } from '../report/page.js'

export function dashboardPage(dir: string): Promise<string> {
  const body = html`<header><h1>Runs in ${nameHtml(dir)}</h1>
<p id="connection" class="muted" role="status">connecting</p></header>
<main>
<noscript><p>This page needs JavaScript.</p></noscript>
<section aria-labelledby="runs-head"><h2 id="runs-head">Runs</h2>
<p id="no-runs" hidden>No run is here yet: mcloss train begins one.</p>
<ul id="runs" class="cards"></ul>
<p id="more" class="muted" hidden></p></section>
<section aria-labelledby="curves-head"><h2 id="curves-head">Curves</h2>
<p id="no-curves" class="muted" hidden>There are no curves: no epoch is finished.</p>
<div id="charts" class="charts"></div></section>
</main>`
  return pageOf({
    ...{ title: 'mcloss dashboard', body, data: null },
    scripts: ['chart.js', 'numbers.js', 'cards.js', 'dashboard.js'],
    policy: ["img-src 'self' data:", "connect-src 'self'"],
  })
}
