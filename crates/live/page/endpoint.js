// The page of one endpoint or gRPC method: the charts of its layer, then all other families with its labels.

import { errorsCard, familyCards, inProgressCard, latencyCard, latencyHeatmap, requestsCard } from './charts.js';
import { el } from './dom.js';

export class EndpointPage {
  #app;
  #cards = [];
  #version = -1;

  constructor(app) {
    this.#app = app;
    this.element = el('div', { class: 'page' });
  }

  update(frame, instant, span) {
    const { store } = this.#app;
    if (store.version !== this.#version) this.#build();
    this.#version = store.version;
    this.#cards.forEach((card) => card.update(frame, span));
  }

  draw() {
    this.#cards.forEach((card) => card.draw());
  }

  destroy() {
    this.#cards.forEach((card) => card.destroy());
  }

  /** Builds the page again if there are cards for families that are new. */
  #build() {
    const { view, layers } = this.#app;
    const layer = layers.find(({ id }) => id === view.layer);
    const row = layer?.rows().get(view.row);
    const families = row ? this.#otherFamilies(layer) : [];
    const roles = row ? [row.requests, row.durations, row.inProgress].map(({ length }) => length > 0) : [];
    const key = JSON.stringify([...roles, ...families.map(({ name }) => name)]);
    if (key === this.element.dataset.key) return;
    this.element.dataset.key = key;
    this.destroy();
    this.#cards = row ? this.#cardsOf(layer, row, families) : [];
    const back = el('a', { class: 'back', href: view.hash({ page: 'overview', layer: '', row: '' }) }, '← Overview');
    this.element.replaceChildren(
      el('header', { class: 'page-title' }, back, el('h2', {}, view.row)),
      row
        ? el('div', { class: 'cards two' }, ...this.#cards.map((card) => card.element))
        : el('div', { class: 'empty' }, el('h2', {}, 'No such endpoint'), el('p', {}, 'It has no requests since the service started.')));
  }

  #cardsOf(layer, row, families) {
    const app = this.#app;
    const series = (role) => () => this.#currentRow()?.[role] ?? row[role];
    const labels = layer.rowLabels([...row.requests, ...row.durations, ...row.inProgress][0]);
    const cards = [requestsCard(app, layer, series('requests'), labels)];
    if (row.durations.length > 0) cards.push(latencyHeatmap(app, layer, series('durations'), labels));
    cards.push(errorsCard(app, layer, series('requests'), labels));
    if (row.durations.length > 0) cards.push(latencyCard(app, layer, series('durations'), labels));
    if (row.inProgress.length > 0) cards.push(inProgressCard(app, layer, series('inProgress'), labels));
    const others = families.flatMap((family) => {
      const ofRow = () => family.series.filter((each) => layer.belongsTo(each, row.name));
      return familyCards(app, family, ofRow, layer.rowLabels(ofRow()[0]));
    });
    return [...cards, ...others];
  }

  #currentRow() {
    const { layers, view } = this.#app;
    return layers.find(({ id }) => id === view.layer)?.rows().get(view.row);
  }

  /** Families that have series of this row, and neither a card yet nor another layer. */
  #otherFamilies(layer) {
    const { store, view, layers } = this.#app;
    const known = new Set(Object.values(layer.families));
    const ofOthers = new Set(layers.filter((other) => other !== layer).flatMap((other) => [...Object.values(other.families), ...other.others]
      .map((family) => family?.name ?? family)));
    layer.others.forEach((name) => ofOthers.delete(name));
    const others = [...store.families.values()].filter((family) =>
      !known.has(family) && !ofOthers.has(family.name) && family.series.some((each) => layer.belongsTo(each, view.row)));
    return others.sort((a, b) => a.name < b.name ? -1 : 1);
  }
}
