// A card with one chart: title, current value, legend with the values at the cursor, and a menu to export it.

import { el, setChildren, setText } from './dom.js';
import { chartToCsv, chartToPng, download, fileName } from './export.js';
import { formatValue } from './format.js';
import { drawHeatmap, drawLines, positionAt, timeAt } from './plot.js';
import { upperBound } from './store.js';

/** Lines beyond this many are not drawn. The legend says how many there are. */
const MAX_LINES = 12;

/**
 * What a card shows:
 * - `title`, `note`: texts; `note` is shown under the title
 * - `unit`: of the values, see `formatValue`
 * - `lines(frame)`: returns lines with `name`, `color`, `dash` and `values`; or `heatmap(frame)`: returns rows, see `bucketRates`
 * - `stacked`: whether lines are stacked
 * - `headline(lines)`: the values of which one is shown in large digits; `headlineName` says which
 * - `promql`: a query for the same chart
 */
export class Card {
  #app;
  #spec;
  #canvas;
  #legend;
  #headlineValue;
  #empty;
  #data = null;
  /** The names of lines that are hidden. */
  #hidden = new Set();
  #hoveredPosition = null;
  #dragStart = null;
  #selection = null;
  #isVisible = true;
  #observer;

  constructor(app, spec) {
    this.#app = app;
    this.#spec = spec;
    this.#canvas = el('canvas', { class: 'plot', tabIndex: 0, role: 'img', 'aria-label': spec.title });
    this.#legend = el('ul', { class: 'legend' });
    this.#headlineValue = el('span');
    const headline = el('p', { class: 'headline' }, this.#headlineValue);
    if (spec.headlineName) headline.append(el('small', {}, spec.headlineName));
    this.#empty = el('p', { class: 'no-data' });
    this.element = el('section', { class: `card${spec.wide ? ' wide' : ''}`, 'aria-label': spec.title },
      el('header', {},
        el('div', { class: 'card-title' }, el('h3', { title: spec.help ?? '' }, spec.title), ...(spec.headline ? [headline] : [])),
        this.#menu()),
      ...(spec.note ? [el('p', { class: 'note' }, spec.note)] : []),
      el('div', { class: 'plot-box' }, this.#canvas, this.#empty),
      this.#legend);
    this.element.dataset.card = spec.title;
    this.#listen();
    this.#observer = new IntersectionObserver(([entry]) => {
      this.#isVisible = entry.isIntersecting;
      if (this.#isVisible) app.redraw(this);
    }, { rootMargin: '100px' });
    this.#observer.observe(this.element);
  }

  destroy() {
    this.#observer.disconnect();
  }

  get title() {
    return this.#spec.title;
  }

  /** Computes the chart for a frame and draws it, if it can be seen. */
  update(frame, span) {
    if (!this.#isVisible) return;
    const { lines, heatmap } = this.#spec;
    const all = lines ? lines(frame) : [];
    this.#data = {
      span,
      times: frame.times,
      unit: this.#spec.unit,
      stacked: this.#spec.stacked,
      lines: all.slice(0, MAX_LINES),
      moreLines: Math.max(0, all.length - MAX_LINES),
      headline: this.#spec.headline?.(all),
      ...(heatmap ? heatmap(frame) : {}),
    };
    this.draw();
  }

  /** Draws the computed chart with the present cursor. */
  draw() {
    if (!this.#data || !this.#isVisible || this.#canvas.clientWidth === 0) return;
    const chart = { ...this.#shown(), cursor: this.#app.cursor, selection: this.#selection };
    if (chart.rows) drawHeatmap(this.#canvas, chart);
    else drawLines(this.#canvas, chart);
    const isEmpty = !this.#hasValues();
    setText(this.#empty, isEmpty ? this.#spec.empty ?? 'No data in this range' : '');
    this.#drawTexts();
  }

  /** The chart without hidden lines. */
  #shown() {
    return { ...this.#data, lines: this.#data.lines.filter(({ name }) => !this.#hidden.has(name)) };
  }

  #hasValues() {
    const { lines, rows, times, span } = this.#data;
    const first = upperBound(times, span.from - 1);
    if (rows) return rows.some(({ values }) => values.some((rate, i) => i >= first && rate > 0));
    return lines.some((line) => line.values.some((value, i) => i >= first && Number.isFinite(value)));
  }

  /** The index of the tick whose values are shown: at the cursor, or the last one. */
  #shownTick() {
    const { times, span } = this.#data;
    const { cursor } = this.#app;
    const isInside = cursor !== null && cursor >= span.from && cursor <= span.to;
    return upperBound(times, isInside ? cursor : span.to) - 1;
  }

  #drawTexts() {
    const { lines, moreLines, unit, headline, rows } = this.#data;
    const tick = this.#shownTick();
    setText(this.#headlineValue, formatValue(headline?.[tick], unit));
    const entries = rows ? this.#bucketEntry(tick) : lines.map((line) => ({
      name: line.name,
      value: formatValue(line.values[tick], unit),
      line,
    }));
    if (moreLines > 0) entries.push({ name: `and ${moreLines} more series`, value: '' });
    setChildren(this.#legend, entries.map((entry, i) => this.#legendItem(this.#legend.children[i], entry)));
    const texts = entries.map(({ name, value }) => `${name} ${value}`).join(', ');
    this.#canvas.setAttribute('aria-label', `${this.#spec.title}. ${texts}`);
  }

  #bucketEntry(tick) {
    const { rows, boundsAt, unit } = this.#data;
    const position = this.#hoveredPosition;
    if (position === null) return [{ name: 'Stronger colour: more observations', value: '' }];
    const [lower, upper] = boundsAt(position).map((bound) => formatValue(bound, unit));
    const row = rows.find((each) => each.position === position);
    return [{ name: `${lower} to ${upper}`, value: `${formatValue(row?.values[tick] ?? 0)}/s` }];
  }

  /** Changes an item of the legend, or creates it. Lines are buttons, which hide and show them. */
  #legendItem(known, { name, value, line }) {
    const isSame = known && (known.firstChild.tagName === 'BUTTON') === Boolean(line);
    const item = isSame ? known : this.#newLegendItem(Boolean(line));
    const [swatch, nameElement, valueElement] = item.firstChild.children;
    swatch.hidden = !line;
    if (line) {
      item.firstChild.setAttribute('aria-pressed', String(!this.#hidden.has(name)));
      item.firstChild.value = name;
      swatch.style.setProperty('--swatch', `var(${line.color})`);
      swatch.classList.toggle('dashed', (line.dash ?? []).length > 0);
    }
    setText(nameElement, name);
    nameElement.title = name;
    setText(valueElement, value);
    return item;
  }

  #newLegendItem(isLine) {
    const parts = [el('i', { class: 'swatch' }), el('span', { class: 'name' }), el('span', { class: 'value' })];
    const entry = isLine
      ? el('button', { type: 'button', class: 'entry', title: 'Show or hide', onclick: () => this.#toggleLine(entry.value) }, ...parts)
      : el('span', { class: 'entry' }, ...parts);
    return el('li', {}, entry);
  }

  #toggleLine(name) {
    if (!this.#hidden.delete(name)) this.#hidden.add(name);
    this.draw();
  }

  #listen() {
    const canvas = this.#canvas;
    const time = (event) => timeAt(canvas, event.clientX, this.#data.span);
    canvas.addEventListener('pointerdown', (event) => {
      if (!this.#data || event.button !== 0 || event.pointerType !== 'mouse') return;
      this.#dragStart = time(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!this.#data) return;
      if (this.#data.rows) this.#hoveredPosition = positionAt(canvas, event.clientY, this.#data);
      if (this.#dragStart !== null) {
        this.#selection = { from: this.#dragStart, to: time(event) };
      }
      this.#app.setCursor(time(event));
    });
    canvas.addEventListener('pointerup', () => this.#endDrag());
    canvas.addEventListener('pointerleave', () => {
      this.#hoveredPosition = null;
      if (this.#dragStart === null) this.#app.setCursor(null);
    });
    canvas.addEventListener('dblclick', () => this.#app.view.set({ zoom: null }));
    canvas.addEventListener('keydown', (event) => this.#onKey(event));
    canvas.addEventListener('blur', () => this.#app.setCursor(null));
  }

  #endDrag() {
    const selection = this.#selection;
    this.#dragStart = null;
    this.#selection = null;
    if (selection) this.#app.view.zoomTo(Math.min(selection.from, selection.to), Math.max(selection.from, selection.to));
    this.draw();
  }

  #onKey(event) {
    if (!this.#data || event.ctrlKey || event.metaKey || event.altKey) return;
    const { view, store } = this.#app;
    const { from, to } = this.#data.span;
    const cursor = this.#app.cursor ?? to;
    const step = Math.max(1_000, (to - from) / 60);
    const actions = {
      ArrowLeft: () => this.#app.setCursor(Math.max(from, cursor - step)),
      ArrowRight: () => this.#app.setCursor(Math.min(to, cursor + step)),
      Home: () => this.#app.setCursor(from),
      End: () => this.#app.setCursor(to),
      '+': () => view.zoomBy(0.5, cursor, this.#data.span, store.lastTime),
      '-': () => view.zoomBy(2, cursor, this.#data.span, store.lastTime),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #menu() {
    const item = (title, action) => el('button', {
      type: 'button',
      onclick: () => {
        menu.open = false;
        action();
      },
    }, title);
    const { promql, title } = this.#spec;
    const items = [
      item('Save as PNG', () => chartToPng(this.#app, this.#canvas, this.#spec, this.#legend)),
      item('Save as CSV', () => this.#data && download(fileName(title, 'csv'), 'text/csv', chartToCsv(this.#shown()))),
    ];
    if (promql) items.push(item('Copy PromQL', () => this.#app.copy('PromQL', promql)));
    const menu = el('details', { class: 'menu' },
      el('summary', { 'aria-label': `Export ${title}`, title: 'Export' }, '⋯'), el('div', { class: 'menu-items' }, ...items));
    menu.addEventListener('focusout', (event) => {
      if (!menu.contains(event.relatedTarget)) menu.open = false;
    });
    return menu;
  }
}

/** A card with text instead of a chart, for infos and times. `rows()` returns pairs of name and value. */
export class TextCard {
  #spec;
  #rows = el('dl', { class: 'facts' });

  constructor(app, spec) {
    this.#spec = spec;
    this.element = el('section', { class: 'card', 'aria-label': spec.title },
      el('header', {}, el('div', { class: 'card-title' }, el('h3', { title: spec.help ?? '' }, spec.title))),
      ...(spec.note ? [el('p', { class: 'note' }, spec.note)] : []),
      this.#rows);
    this.element.dataset.card = spec.title;
  }

  get title() {
    return this.#spec.title;
  }

  update() {
    const rows = this.#spec.rows();
    const texts = rows.flat();
    if (this.#rows.children.length !== texts.length) {
      this.#rows.replaceChildren(...texts.map((_, i) => el(i % 2 ? 'dd' : 'dt')));
    }
    texts.forEach((text, i) => setText(this.#rows.children[i], text));
  }

  draw() {}

  destroy() {}
}
