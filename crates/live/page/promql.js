// The PromQL behind a chart.

/** Rates in queries are over a minute: Prometheus scrapes seldom more often than each 15 s. */
const RANGE = '[1m]';

/** `name{label="value"}`. `labels` is a Map; patterns have a label, `=~` or `!~`, and a regular expression. */
export function selector(name, labels = new Map(), patterns = []) {
  const exact = [...labels].map(([label, value]) => `${label}="${escape(value)}"`);
  const regular = patterns.map(([label, operator, pattern]) => `${label}${operator}"${escape(pattern)}"`);
  const matchers = [...exact, ...regular].join(',');
  return matchers ? `${name}{${matchers}}` : name;
}

export function rateQuery(selected, by = []) {
  return `sum${byClause(by)}(rate(${selected}${RANGE}))`;
}

export function quantileQuery(q, family, labels) {
  return `histogram_quantile(${q}, ${bucketsQuery(family, labels)})`;
}

/** The rate of each bucket. A native histogram is one series with all its buckets. */
export function bucketsQuery({ name, isNative }, labels) {
  return isNative ? rateQuery(selector(name, labels)) : rateQuery(selector(`${name}_bucket`, labels), ['le']);
}

/** The rate of observations of a histogram. */
export function observationsQuery({ name, isNative }, labels, patterns, by) {
  if (!isNative) return rateQuery(selector(`${name}_count`, labels, patterns), by);
  return `histogram_count(${rateQuery(selector(name, labels, patterns), by)})`;
}

export function sumQuery(selected) {
  return `sum(${selected})`;
}

function byClause(labels) {
  return labels.length > 0 ? ` by (${labels.join(', ')}) ` : '';
}

function escape(text) {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
