// Definitions of charts: those of layers, and the chart that fits the kind of any other family.

import { Card, TextCard } from './card.js';
import { lineStyle, statusStyles } from './colors.js';
import { commonLabels, formatDateTime, formatValue, labelText, unitOf } from './format.js';
import { bucketsQuery, quantileQuery, selector, sumQuery } from './promql.js';
import { bucketRates, current, groupBy, quantile, rate, ratio, total } from './query.js';

const QUANTILES = [
  { q: 0.5, name: 'p50', color: '--quantile-0' },
  { q: 0.95, name: 'p95', color: '--quantile-1' },
  { q: 0.99, name: 'p99', color: '--quantile-2' },
];

/** Requests per second by status, as stacked areas. `requests()` returns the series, `labels` select them in PromQL. */
export function requestsCard(app, layer, requests, labels) {
  const status = () => groupBy(requests(), (series) => layer.statusOf(series));
  return new Card(app, {
    title: 'Requests',
    unit: '/s',
    stacked: true,
    headline: sumOfLines,
    empty: 'No requests in this range',
    promql: layer.requestsQuery(labels, [], layer.statusLabels),
    lines: (frame) => {
      const groups = status();
      const styles = statusStyles([...groups].map(([name, [series]]) => ({ name, isError: layer.isErrorSeries(series) })));
      const lines = [...groups].map(([name, series], i) => ({ name: name || 'no status', ...styles[i], values: rate(series, frame) }));
      return lines.filter(({ values }) => values.some((value) => value > 0));
    },
  });
}

export function errorsCard(app, layer, requests, labels) {
  const matcher = layer.errorMatcher;
  return new Card(app, {
    title: 'Errors',
    unit: 'ratio',
    headline: ([line]) => line.values,
    empty: 'No requests in this range',
    promql: matcher && `${layer.requestsQuery(labels, [matcher])} / ${layer.requestsQuery(labels)}`,
    lines: (frame) => {
      const all = requests();
      const values = ratio(rate(all.filter((series) => layer.isErrorSeries(series)), frame), rate(all, frame));
      const color = values.some((value) => value > 0) ? '--error' : '--line-6';
      return [{ name: 'failed requests', color, values }];
    },
  });
}

export function latencyCard(app, layer, durations, labels) {
  return new Card(app, {
    title: 'Latency',
    unit: 'seconds',
    headline: (lines) => lines[1]?.values,
    headlineName: 'p95',
    empty: 'No requests in this range',
    promql: quantileQuery(0.95, layer.families.durations, labels),
    lines: (frame) => quantileLines(durations(), frame),
  });
}

export function inProgressCard(app, layer, inProgress, labels) {
  return new Card(app, {
    title: 'In progress',
    headline: ([line]) => line.values,
    promql: sumQuery(selector(layer.families.inProgress?.name, labels)),
    lines: (frame) => [{ name: 'requests in progress', color: '--line-0', values: total(inProgress(), frame) }],
  });
}

export function latencyHeatmap(app, layer, durations, labels) {
  return heatmapCard(app, 'Latency distribution', 'seconds', layer.families.durations, durations, labels);
}

function quantileLines(series, frame) {
  if (series.length === 0) return [];
  const rates = bucketRates(series, frame);
  return QUANTILES.map(({ q, name, color }) => ({ name, color, values: quantile(q, rates) }));
}

function sumOfLines(lines) {
  return lines[0]?.values.map((_, i) => lines.reduce((sum, line) => sum + line.values[i], 0));
}

/** The cards for a family: a rate, lines, quantiles and a heat map, or text. `series()` returns what to show of it. */
export function familyCards(app, family, series, labels = new Map()) {
  const spec = {
    title: family.name,
    help: family.help,
    note: family.help,
    unit: unitOf(family),
  };
  const { name } = family;
  switch (family.kind) {
    case 'counter':
      return [new Card(app, {
        ...spec,
        unit: `${spec.unit}/s`,
        promql: `rate(${selector(name, labels)}[1m])`,
        lines: (frame) => seriesLines(app, series(), (each) => rate([each], frame)),
      })];
    case 'gauge':
    case 'stateset':
      if (/_(start_)?time(stamp)?_seconds$/.test(name)) return [timeCard(app, spec, series)];
      return [new Card(app, {
        ...spec,
        promql: selector(name, labels),
        lines: (frame) => seriesLines(app, series(), (each) => total([each], frame)),
      })];
    case 'histogram':
      return [
        new Card(app, {
          ...spec,
          promql: quantileQuery(0.95, family, labels),
          lines: (frame) => quantileLines(series(), frame),
        }),
        heatmapCard(app, `${name}, distribution`, spec.unit, family, series, labels),
      ];
    case 'summary':
      return [new Card(app, {
        ...spec,
        promql: selector(name, labels),
        lines: (frame) => summaryLines(app, series(), frame),
      })];
    default:
      return [textCard(app, spec, series)];
  }
}

function heatmapCard(app, title, unit, family, series, labels) {
  return new Card(app, {
    title,
    note: 'Observations per second, by bucket',
    unit,
    promql: bucketsQuery(family, labels),
    heatmap: (frame) => bucketRates(series(), frame),
  });
}

/** A line for each series, the largest first. */
function seriesLines(app, series, valuesOf) {
  const existing = series.filter((each) => !each.isGone);
  const hidden = hiddenLabels(app, existing);
  const byValue = [...existing].sort((a, b) => lastNumber(b) - lastNumber(a));
  return byValue.map((each, i) => {
    const name = labelText(each, hidden) || each.family.name;
    const isFailure = app.layers.some((layer) => layer.isErrorSeries(each));
    return { name, ...lineStyle(i), ...(isFailure ? { color: '--error' } : {}), get values() {
      return (this.computed ??= valuesOf(each));
    } };
  });
}

/** The labels that tell nothing in a legend: constant labels, and those that all series of the family share. */
function hiddenLabels(app, series) {
  return new Set([...app.constantLabels.keys(), ...(series.length > 1 ? commonLabels(series).keys() : [])]);
}

function lastNumber(series) {
  return Array.isArray(series.last) ? series.last[0] : series.last ?? 0;
}

/** The quantiles of summaries, as the service computes them. */
function summaryLines(app, series, frame) {
  const hidden = hiddenLabels(app, series);
  return current(series).flatMap((each) => each.bounds.map((q, i) => ({
    name: `${labelText(each, hidden)} p${formatValue(q * 100)}`.trim(),
    ...lineStyle(i),
    values: each.valuesAt(frame.times).map((value) => value ? value[i + 2] : NaN),
  })));
}

function timeCard(app, spec, series) {
  return new TextCard(app, {
    ...spec,
    rows: () => current(series()).map((each) => {
      const age = (app.store.lastTime / 1_000) - each.last;
      return [labelText(each, hiddenLabels(app, [each])) || 'Time', `${formatDateTime(each.last * 1_000)} (${formatValue(age, 'seconds')} ago)`];
    }),
  });
}

function textCard(app, spec, series) {
  return new TextCard(app, {
    ...spec,
    rows: () => current(series()).flatMap((each) => [...each.labels].filter(([name]) => !app.constantLabels.has(name))),
  });
}
