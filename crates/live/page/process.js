// The line about the process at the top of the overview.

import { el, setText } from './dom.js';
import { formatCount, formatValue } from './format.js';
import { current, rate, total } from './query.js';

/** Each fact: its name, the family with its value, and how to show it. Those without a family are left out. */
const FACTS = [
  { name: 'Version', family: 'build_info', text: ({ version }) => version },
  { name: 'Up', family: 'process_start_time_seconds', text: ({ value, time }) => formatValue(time / 1_000 - value, 'seconds') },
  { name: 'CPU', family: 'process_cpu_seconds_total', text: ({ perSecond }) => formatValue(perSecond, 'ratio') },
  { name: 'Memory', family: 'process_resident_memory_bytes', text: ({ value }) => formatValue(value, 'bytes') },
  { name: 'Open files', family: 'process_open_fds', text: ({ value }) => formatCount(value) },
  { name: 'Threads', family: 'process_threads', text: ({ value }) => formatCount(value) },
  { name: 'Tasks', family: 'tokio_alive_tasks', text: ({ value }) => formatCount(value) },
];

export class ProcessFacts {
  element = el('dl', { class: 'process', 'aria-label': 'Process' });
  #values = FACTS.map(() => el('dd'));
  #items = FACTS.map(({ name }, i) => el('div', {}, el('dt', {}, name), this.#values[i]));

  constructor() {
    this.element.append(...this.#items);
  }

  update(store, instant) {
    FACTS.forEach(({ family, text }, i) => {
      const series = current(store.families.get(family)?.series ?? []);
      this.#items[i].hidden = series.length === 0;
      if (series.length === 0) return;
      setText(this.#values[i], text({
        version: series[0].label('version'),
        value: total(series, instant).at(-1),
        perSecond: rate(series, instant).at(-1),
        time: instant.times.at(-1),
      }));
    });
    this.element.hidden = this.#items.every(({ hidden }) => hidden);
  }
}
