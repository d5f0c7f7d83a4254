// The first page: a line about the process, and for each layer four charts and a table.

import { errorsCard, inProgressCard, latencyCard, requestsCard } from './charts.js';
import { el } from './dom.js';
import { ProcessFacts } from './process.js';
import { EndpointTable } from './table.js';

export class OverviewPage {
  #app;
  #process = new ProcessFacts();
  #sections = [];
  #shown = '';

  constructor(app) {
    this.#app = app;
    this.element = el('div', { class: 'page' });
  }

  update(frame, instant, span) {
    const { layers } = this.#app;
    const ids = layers.map(({ id }) => id).join(' ') || (this.#app.store.times.length > 0 ? 'no layers' : 'no samples');
    if (ids !== this.#shown) this.#build(ids);
    this.#process.update(this.#app.store, instant);
    this.#sections.forEach(({ cards, table }, i) => {
      cards.forEach((card) => card.update(frame, span));
      table.update(layers[i], frame, instant, span);
    });
  }

  draw() {
    this.#sections.forEach(({ cards }) => cards.forEach((card) => card.draw()));
  }

  destroy() {
    this.#sections.forEach(({ cards, table }) => [...cards, table].forEach((part) => part.destroy()));
  }

  #build(ids) {
    this.destroy();
    this.#shown = ids;
    const { layers } = this.#app;
    this.#sections = layers.map((layer, i) => this.#section(layer, i));
    this.element.replaceChildren(this.#process.element, ...(layers.length > 0 ? this.#sections.map(({ element }) => element) : [this.#empty()]));
  }

  #section(layer, i) {
    const app = this.#app;
    const now = () => app.layers[i] ?? layer;
    const cards = [
      requestsCard(app, layer, () => now().requests),
      errorsCard(app, layer, () => now().requests),
      ...(layer.families.durations ? [latencyCard(app, layer, () => now().durations)] : []),
      ...(layer.families.inProgress ? [inProgressCard(app, layer, () => now().inProgress)] : []),
    ];
    const table = new EndpointTable(app, layer);
    const heading = el('h2', { class: 'layer-title' }, layer.title);
    const element = el('section', { 'aria-label': layer.title }, heading,
      el('div', { class: 'cards four' }, ...cards.map((card) => card.element)), table.element);
    return { cards, table, element };
  }

  #empty() {
    const isConnected = this.#app.store.times.length > 0;
    return el('div', { class: 'empty' },
      el('h2', {}, isConnected ? 'No requests yet' : 'Waiting for the first sample'),
      el('p', {}, isConnected
        ? 'Requests appear here when the service has an HTTP or gRPC layer and answers its first request.'
        : 'The service sends one sample per second.'),
      ...(isConnected ? [el('pre', {}, '.layer(metrics.http_layer())'), el('p', {}, el('a', { href: '#/metrics' }, 'All metrics'))] : []));
  }
}
