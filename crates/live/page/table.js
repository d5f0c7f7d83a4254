// The table of endpoints or gRPC methods.

import { el, setChildren, setText } from './dom.js';
import { formatCount, formatValue } from './format.js';
import { drawSparkline } from './plot.js';
import { bucketRates, quantile, rate, ratio, total, totalCount } from './query.js';

const MAX_ROWS = 100;

/** `class` hides columns on narrow screens. */
const COLUMNS = [
  { key: 'name', title: (layer) => layer.rowTitle, class: 'name' },
  { key: 'rate', title: () => 'Requests', format: (value) => formatValue(value, '/s'), class: 'number' },
  { key: 'errors', title: () => 'Errors', format: (value) => formatValue(value, 'ratio'), class: 'number' },
  { key: 'p50', title: () => 'p50', format: (value) => formatValue(value, 'seconds'), class: 'number optional' },
  { key: 'p95', title: () => 'p95', format: (value) => formatValue(value, 'seconds'), class: 'number' },
  { key: 'p99', title: () => 'p99', format: (value) => formatValue(value, 'seconds'), class: 'number optional' },
  { key: 'inProgress', title: () => 'In progress', format: formatCount, class: 'number optional' },
  { key: 'total', title: () => 'Total', format: formatCount, class: 'number optional' },
];

const DEFAULT_SORT = '-total';

export class EndpointTable {
  #app;
  #layerId;
  #rows = new Map();
  #body = el('tbody');
  #headers;
  #filter;
  #more = el('button', { type: 'button', class: 'more', hidden: true, onclick: () => this.#showAll() });
  #noRows = el('p', { class: 'no-rows' });
  #showsAll = false;
  /** Rows that are on the screen: only their small charts are drawn. */
  #visible = new Set();
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#visible.add(target);
      else this.#visible.delete(target);
    }
    this.#app.render();
  });

  constructor(app, layer) {
    this.#app = app;
    this.#layerId = layer.id;
    this.#headers = COLUMNS.map((column) => this.#header(column, layer));
    this.#filter = el('input', {
      type: 'search', class: 'filter', placeholder: 'Filter', value: app.view.filter, 'aria-label': `Filter ${layer.title}`,
      oninput: () => app.view.set({ filter: this.#filter.value }),
    });
    const heading = el('h2', {}, layer.isGrpc ? 'Methods' : 'Endpoints');
    this.element = el('section', { class: 'card table-card' },
      el('header', {}, heading, this.#filter),
      el('div', { class: 'table-box' },
        el('table', { class: 'endpoints' },
          el('thead', {}, el('tr', {}, ...this.#headers, el('th', { scope: 'col', class: 'trend' }, 'Requests over time'))),
          this.#body)),
      this.#noRows, this.#more);
  }

  #header(column, layer) {
    const sort = () => {
      const [key, isDescending] = this.#sort();
      const descends = key === column.key ? !isDescending : column.key !== 'name';
      this.#app.view.set({ sort: `${descends ? '-' : ''}${column.key}` });
    };
    const button = el('button', { type: 'button', onclick: sort }, column.title(layer));
    return el('th', { scope: 'col', class: column.class }, button);
  }

  #sort() {
    const wanted = this.#app.view.sort || DEFAULT_SORT;
    const key = wanted.replace('-', '');
    return COLUMNS.some((column) => column.key === key) ? [key, wanted.startsWith('-')] : this.#parts(DEFAULT_SORT);
  }

  #parts(sort) {
    return [sort.replace('-', ''), sort.startsWith('-')];
  }

  #showAll() {
    this.#showsAll = true;
    this.#app.render();
  }

  update(layer, frame, instant, span) {
    if (this.#filter.value !== this.#app.view.filter) this.#filter.value = this.#app.view.filter;
    const words = this.#app.view.filter.toLowerCase().split(/\s+/);
    const all = [...layer.rows().values()];
    const matching = all.filter((row) => words.every((word) => row.name.toLowerCase().includes(word)));
    const rows = this.#sorted(matching.map((row) => ({ ...row, ...numbers(layer, row, instant) })));
    const shown = this.#showsAll ? rows : rows.slice(0, MAX_ROWS);
    setChildren(this.#body, shown.map((row) => this.#row(row)));
    shown.forEach((row) => this.#drawTrend(row, frame, span));
    this.#forgetRows(new Set(all.map(({ name }) => name)));
    this.#more.hidden = shown.length === rows.length;
    setText(this.#more, `Show all ${rows.length}`);
    setText(this.#noRows, rows.length > 0 ? '' : all.length > 0 ? 'Nothing matches the filter.' : 'No requests yet.');
    this.#markSort();
  }

  #sorted(rows) {
    const [key, isDescending] = this.#sort();
    const direction = isDescending ? -1 : 1;
    // Rows without a number are last in both directions.
    const compare = (a, b) => {
      if (key === 'name') return a.name < b.name ? -1 : 1;
      if (Number.isNaN(a[key]) || Number.isNaN(b[key])) return direction * (Number.isNaN(a[key]) - Number.isNaN(b[key]));
      return a[key] - b[key];
    };
    return rows.sort((a, b) => direction * compare(a, b) || (a.name < b.name ? -1 : 1));
  }

  #markSort() {
    const [key, isDescending] = this.#sort();
    COLUMNS.forEach((column, i) => {
      const order = isDescending ? 'descending' : 'ascending';
      this.#headers[i].setAttribute('aria-sort', column.key === key ? order : 'none');
    });
  }

  /** Changes a row, or creates it. Rows stay the same elements, so that the focus stays. */
  #row(row) {
    if (!this.#rows.has(row.name)) this.#rows.set(row.name, this.#newRow(row));
    const { element, link, cells } = this.#rows.get(row.name);
    const href = this.#app.view.hash({ page: 'endpoint', layer: this.#layerId, row: row.name, filter: '', sort: '' });
    if (link.getAttribute('href') !== href) link.setAttribute('href', href);
    COLUMNS.slice(1).forEach((column, i) => setText(cells[i], column.format(row[column.key])));
    cells[1].classList.toggle('is-error', row.errors > 0);
    cells[1].classList.toggle('is-zero', row.errors === 0);
    return element;
  }

  #drawTrend({ name, requests }, frame, span) {
    const { element, spark } = this.#rows.get(name);
    if (!this.#visible.has(element)) return;
    drawSparkline(spark, { span, times: frame.times, values: rate(requests, frame), color: '--line-0' });
  }

  #forgetRows(names) {
    for (const [name, { element }] of this.#rows) {
      if (names.has(name)) continue;
      this.#observer.unobserve(element);
      this.#visible.delete(element);
      this.#rows.delete(name);
    }
  }

  destroy() {
    this.#observer.disconnect();
  }

  #newRow(row) {
    const link = el('a', {}, row.name);
    const cells = COLUMNS.slice(1).map((column) => el('td', { class: column.class }));
    const spark = el('canvas', { class: 'spark', 'aria-hidden': 'true' });
    const name = el('th', { scope: 'row', class: 'name' }, link);
    const element = el('tr', {}, name, ...cells, el('td', { class: 'trend' }, spark));
    element.dataset.row = row.name;
    this.#observer.observe(element);
    return { element, link, cells, spark };
  }
}

/** The numbers of a row at one time. */
function numbers(layer, { requests, durations, inProgress }, instant) {
  const last = (values) => values.at(-1) ?? NaN;
  const rates = rate(requests, instant);
  const errors = rate(requests.filter((series) => layer.isErrorSeries(series)), instant);
  const buckets = durations.length > 0 ? bucketRates(durations, instant) : null;
  const at = (q) => buckets ? last(quantile(q, buckets)) : NaN;
  return {
    rate: last(rates),
    errors: last(ratio(errors, rates)),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    inProgress: last(total(inProgress, instant)),
    total: instant.times.length > 0 ? totalCount(requests, instant) : NaN,
  };
}
