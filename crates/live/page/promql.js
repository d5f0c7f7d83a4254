// The PromQL behind a chart.

/** Rates in queries are over a minute: Prometheus scrapes seldom more often than each 15 s. */
const RANGE = '[1m]';

/** `name{label="value"}`. Matchers are Maps, or pairs of label and regular expression. */
export function selector(name, labels = new Map(), patterns = []) {
  const exact = [...labels].map(([label, value]) => `${label}="${escape(value)}"`);
  const regular = patterns.map(([label, pattern]) => `${label}=~"${escape(pattern)}"`);
  const matchers = [...exact, ...regular].join(',');
  return matchers ? `${name}{${matchers}}` : name;
}

export function rateQuery(selected, by = []) {
  return `sum${byClause(by)}(rate(${selected}${RANGE}))`;
}

export function quantileQuery(q, name, labels) {
  return `histogram_quantile(${q}, sum by (le) (rate(${selector(`${name}_bucket`, labels)}${RANGE})))`;
}

export function sumQuery(selected, by = []) {
  return `sum${byClause(by)}(${selected})`;
}

function byClause(labels) {
  return labels.length > 0 ? ` by (${labels.join(', ')}) ` : '';
}

function escape(text) {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
