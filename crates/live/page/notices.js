// Messages at the top: what is wrong with the metrics themselves.

import { el } from './dom.js';
import { formatCount } from './format.js';
import { current } from './query.js';

/** Texts about limits that were reached and collectors that failed. */
function messages(store) {
  const texts = [];
  for (const family of store.families.values()) {
    if (family.name.endsWith('metrics_label_overflow_total')) texts.push(...overflows(family));
    if (family.name === 'scrape_collector_success') texts.push(...failures(family));
  }
  if (store.hidden > 0) {
    texts.push(`${formatCount(store.hidden)} series are not shown: the page shows at most ${formatCount(store.maxSeries)} `
      + '(max_series). Metrics with the most series are incomplete.');
  }
  return texts;
}

function overflows(family) {
  return current(family.series).filter(({ last }) => last > 0).map((series) =>
    `${series.label('family')}: label "${series.label('label')}" reached its limit. ${formatCount(series.last)} times, a new value `
    + 'was recorded as "overflow".');
}

function failures(family) {
  return current(family.series).filter(({ last }) => last === 0).map((series) =>
    `Collector "${series.label('collector')}" failed: its metrics are missing. The log of the service has the reason.`);
}

/** Shows the messages, if they changed. */
export function showNotices(parent, store) {
  const texts = messages(store);
  const key = texts.join('\n');
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  parent.replaceChildren(...texts.map((text) => el('p', { class: 'notice', role: 'alert' }, text)));
}
