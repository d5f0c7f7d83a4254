// The page of all families, grouped by the first word of their names.

import { familyCards } from './charts.js';
import { el, setText } from './dom.js';
import { groupBy } from './query.js';

/** Families that are shown at first. */
const PAGE_SIZE = 60;

export class MetricsPage {
  #app;
  #cards = [];
  #key = '';
  #limit = PAGE_SIZE;
  #filter;
  #count = el('p', { class: 'count', role: 'status' });
  #links = el('nav', { class: 'group-links', 'aria-label': 'Groups' });
  #groups = el('div');
  #more = el('button', { type: 'button', class: 'more', onclick: () => this.#showMore() }, 'Show more');

  constructor(app) {
    this.#app = app;
    this.#filter = el('input', {
      type: 'search', class: 'filter', placeholder: 'Search names, help texts and labels', value: app.view.filter,
      'aria-label': 'Search metrics', oninput: () => app.view.set({ filter: this.#filter.value }),
    });
    this.element = el('div', { class: 'page' },
      el('header', { class: 'page-title' }, el('h2', {}, 'Metrics'), this.#filter, this.#count), this.#links, this.#groups, this.#more);
  }

  update(frame, instant, span) {
    if (this.#filter.value !== this.#app.view.filter) this.#filter.value = this.#app.view.filter;
    const matching = this.#matching();
    const key = JSON.stringify([this.#limit, ...matching.map(({ name, kind }) => name + kind)]);
    if (key !== this.#key) this.#build(matching);
    this.#key = key;
    this.#cards.forEach((card) => card.update(frame, span));
  }

  draw() {
    this.#cards.forEach((card) => card.draw());
  }

  destroy() {
    this.#cards.forEach((card) => card.destroy());
  }

  #showMore() {
    this.#limit += PAGE_SIZE;
    this.#app.render();
  }

  /** Families whose name, help text or labels contain all words of the filter. */
  #matching() {
    const { store, view } = this.#app;
    const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const families = [...store.families.values()].filter((family) => words.every((word) => matches(family, word)));
    return families.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  #build(matching) {
    this.destroy();
    this.#cards = [];
    const groups = groupBy(matching.slice(0, this.#limit), prefixOf);
    const sections = [...groups].map(([prefix, families]) => this.#group(prefix, families));
    this.#groups.replaceChildren(...sections);
    this.#links.replaceChildren(...sections.map((section) =>
      el('button', { type: 'button', onclick: () => section.scrollIntoView() }, section.getAttribute('aria-label'))));
    this.#links.hidden = sections.length < 2;
    this.#more.hidden = matching.length <= this.#limit;
    const all = this.#app.store.families.size;
    setText(this.#count, matching.length === all ? `${all} metrics` : `${matching.length} of ${all} metrics`);
    if (matching.length === 0) {
      this.#groups.replaceChildren(el('p', { class: 'no-rows' }, all > 0 ? 'Nothing matches the search.' : 'No metrics yet.'));
    }
  }

  #group(prefix, families) {
    const cards = families.flatMap((family) => familyCards(this.#app, family, () => family.series));
    this.#cards.push(...cards);
    return el('section', { class: 'group', 'aria-label': prefix }, el('h3', { class: 'group-title' }, prefix),
      el('div', { class: 'cards three' }, ...cards.map((card) => card.element)));
  }
}

function prefixOf({ name }) {
  return name.split(/[_:]/)[0] || name;
}

function matches(family, word) {
  if (family.name.toLowerCase().includes(word) || family.help.toLowerCase().includes(word)) return true;
  return family.series.some((series) => {
    for (const [name, value] of series.labels) {
      if (`${name}=${value}`.toLowerCase().includes(word)) return true;
    }
    return false;
  });
}
