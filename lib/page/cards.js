// A card for each run of the dashboard: its state, its figures, its newest channel maps, and the button that
// stops it.

const STATES = {
  running: 'running',
  stopping: 'stopping: the step ends, then the run is saved',
  ended: 'ended',
  stopped: 'stopped; mcloss train --resume goes on',
  failed: 'failed, or killed: it goes on no more and has not ended',
}

/** @param {string} name @param {string} className @param {string} [text] */
function element(name, className, text = '') {
  const made = document.createElement(name)
  made.className = className
  made.textContent = text
  return made
}

/** @returns {RunCard} */
function makeCard() {
  const root = element('li', 'card')
  const head = element('h3', '')
  const [mark, name] = [element('span', 'run'), element('bdi', 'name')]
  mark.append(name)
  head.append(mark)
  const [state, figures] = [element('p', 'state'), element('p', 'figures')]
  const stop = /** @type {HTMLButtonElement} */ (element('button', 'stop', 'Stop and save'))
  const words = element('p', 'muted')
  const maps = /** @type {HTMLImageElement} */ (element('img', 'map'))
  stop.type = 'button'
  root.append(head, state, figures, stop, words, maps)

  /** @type {ShownRun | undefined} */
  let shown
  stop.addEventListener('click', async () => {
    stop.disabled = true
    const { status } = await fetch(`runs/${shown?.id}/stop`, { method: 'POST' }).catch(() => ({
      status: 0,
    }))
    const isAsked = status === 202
    stop.disabled = isAsked
    words.textContent = isAsked ? '' : 'The run could not be asked to stop.'
  })

  return {
    root,
    show(run, at, count) {
      if (shown?.state !== run.state) words.textContent = ''
      const isNew = shown?.maps !== run.maps
      shown = run
      mark.className = count > 1 ? `run run-${at % COLOURS}` : ''
      name.textContent = run.name
      state.textContent = STATES[run.state]
      state.dataset.state = run.state
      figures.textContent = figuresOf(run)
      stop.hidden = !['running', 'stopping'].includes(run.state)
      stop.disabled = run.state === 'stopping'
      stop.setAttribute('aria-label', `Stop and save ${run.name}`)
      maps.hidden = run.maps === null
      if (!isNew || run.maps === null) return
      maps.alt = `Channel maps of ${run.name} after epoch ${Number(run.maps)}`
      maps.src = `runs/${run.id}/maps/${run.maps}`
    },
  }
}

/** @param {ShownRun} run */
function figuresOf({ epochs, planned, loss, top1, best }) {
  const parts = [`epoch ${epochs}${planned === null ? '' : ` of ${planned}`}`]
  if (loss !== null) parts.push(`loss ${valueText(loss, 'plain')}`)
  if (top1 !== null) parts.push(`top-1 ${valueText(top1, 'share')}`)
  if (best !== null) parts.push(`best ${valueText(best, 'share')}`)
  return parts.join(' · ')
}
