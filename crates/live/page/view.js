// The state of the view: page, range, zoom, filter and sort order, kept in the address after the #, which is not sent
// to the service.

export const RANGES = [
  { seconds: 60, title: '1 min' },
  { seconds: 120, title: '2 min' },
  { seconds: 300, title: '5 min' },
  { seconds: 600, title: '10 min' },
];

const DEFAULT_RANGE = 120;

/** Without history, the chart starts with half a minute. */
const MIN_RANGE = 30_000;

/** Zooming in ends here. */
const MIN_SPAN = 5_000;

/** Zooming out ends here. */
const MAX_SPAN = RANGES.at(-1).seconds * 1_000;

/** The times of the browser end shortly after this. */
const MAX_TIME = 8e15;

export class View {
  page = 'overview';
  /** The layer and the row of the endpoint page. */
  layer = '';
  row = '';
  filter = '';
  sort = '';
  range = DEFAULT_RANGE;
  /** The zoomed range; null to follow the last tick. */
  zoom = null;
  /** The time at which the page is paused; null if it is not. */
  pausedAt = null;

  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    window.addEventListener('hashchange', () => {
      this.#read();
      onChange();
    });
    this.#read();
  }

  /** Changes some properties, and the address. */
  set(changes) {
    Object.assign(this, changes);
    const hash = this.hash();
    if (hash !== location.hash) history.replaceState(null, '', hash);
    this.#onChange();
  }

  /** The address of this view, or of one that differs from it. */
  hash(changes = {}) {
    const view = { ...this, ...changes };
    const parameters = new URLSearchParams();
    if (view.page === 'endpoint') {
      parameters.set('layer', view.layer);
      parameters.set('row', view.row);
    }
    if (view.filter) parameters.set('filter', view.filter);
    if (view.sort) parameters.set('sort', view.sort);
    if (view.range !== DEFAULT_RANGE) parameters.set('range', view.range);
    if (view.zoom) {
      parameters.set('from', Math.round(view.zoom.from));
      parameters.set('to', Math.round(view.zoom.to));
    }
    const query = parameters.toString();
    return `#/${view.page === 'overview' ? '' : view.page}${query ? `?${query}` : ''}`;
  }

  #read() {
    const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
    const parameters = new URLSearchParams(query);
    const text = (name) => parameters.get(name) ?? '';
    const range = Number(text('range'));
    const [from, to] = [Number(text('from')), Number(text('to'))];
    Object.assign(this, {
      page: ['endpoint', 'metrics'].includes(path) ? path : 'overview',
      layer: text('layer'),
      row: text('row'),
      filter: text('filter'),
      sort: text('sort'),
      range: RANGES.some(({ seconds }) => seconds === range) ? range : DEFAULT_RANGE,
      zoom: isZoom(from, to) ? { from, to } : null,
    });
  }

  /** The shown times, if these are the first and the last tick: less than the range if the history is shorter. */
  span(firstTime, lastTime) {
    if (this.zoom) return this.zoom;
    const to = this.pausedAt ?? lastTime;
    const known = Math.max(to - firstTime, MIN_RANGE);
    return { from: to - Math.min(this.range * 1_000, known), to };
  }

  zoomTo(from, to) {
    if (to - from >= MIN_SPAN) this.set({ zoom: { from, to } });
  }

  /** Zooms by a factor around a time, at most to the whole history. */
  zoomBy(factor, time, { from, to }, lastTime) {
    const zoom = { from: time - (time - from) * factor, to: Math.min(lastTime, time + (to - time) * factor) };
    if (zoom.to - zoom.from > MAX_SPAN) this.set({ zoom: null, range: RANGES.at(-1).seconds });
    else this.zoomTo(zoom.from, zoom.to);
  }
}

/** Whether times in the address can be shown. Any number can be there. */
function isZoom(from, to) {
  const length = to - from;
  return length >= MIN_SPAN && length <= MAX_SPAN && Math.abs(to) <= MAX_TIME;
}
