// `npm run bench -- results`: writes bench/RESULTS.md anew from bench/results.jsonl. It measures nothing.

import { writeFileSync } from 'node:fs'
import { pageOf } from './page.mjs'
import { readRows } from './rows.mjs'

writeFileSync(new URL('RESULTS.md', import.meta.url), pageOf(readRows()))
