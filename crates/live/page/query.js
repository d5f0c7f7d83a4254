// Rates, sums and quantiles of series over the ticks of a frame. Results are arrays with a number for each tick; NaN if there
// is none.

import { nativeRates } from './native.js';

/** The number of observations in a value of a histogram or a summary, or the value of a counter. */
export function countOf(series, value) {
  if (!Array.isArray(value)) return value?.count ?? value;
  if (series.family.kind === 'summary') return value[0];
  let count = 0;
  for (let i = 1; i < value.length; i++) count += value[i];
  return count;
}

/** The increase per second of counters, or of the counts of histograms, summed over series. */
export function rate(seriesList, frame) {
  const sums = emptySums(frame);
  for (const series of seriesList.filter((each) => changes(each, frame))) {
    const values = series.valuesAt(frame.times).map((value) => value === null ? null : countOf(series, value));
    addIncreases(sums, values, frame);
  }
  return sums;
}

/** The sum of counters, or of the counts of histograms, at the last tick of a frame. */
export function totalCount(seriesList, frame) {
  const time = frame.times.at(-1);
  const counts = seriesList.map((series) => {
    const [value] = series.valuesAt([time]);
    return value === null ? 0 : countOf(series, value);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The sum of gauges. Series that are gone do not count. */
export function total(seriesList, frame) {
  const sums = frame.times.map(() => NaN);
  for (const series of seriesList) {
    series.valuesAt(frame.times).forEach((value, i) => {
      if (typeof value === 'number') sums[i] = Number.isNaN(sums[i]) ? value : sums[i] + value;
    });
  }
  return sums;
}

/**
 * The increase per second of each bucket of histograms, summed over series:
 * - `rows`: buckets by rising bounds, with `lower`, `upper`, a number for each tick in `values`, and a `position` in a heat
 *   map, which has places for buckets without observations
 * - `boundsAt(position)`: the lower and the upper bound at a position
 * - `isExponential`: whether the buckets are native ones
 *
 * Series whose classic buckets have other bounds than those of the first one are left out.
 */
export function bucketRates(seriesList, frame) {
  if (seriesList[0]?.family.isNative) {
    return nativeRates(seriesList.filter((series) => changes(series, frame)), frame);
  }
  const bounds = seriesList[0]?.bounds ?? [];
  const boundsAt = (i) => [i > 0 ? bounds[i - 1] : Math.min(0, bounds[0] ?? 0), bounds[i] ?? Infinity];
  const rows = [...bounds, Infinity].map((upper, position) =>
    ({ position, lower: boundsAt(position)[0], upper, values: emptySums(frame) }));
  for (const series of seriesList) {
    if (series.bounds.length !== bounds.length || !changes(series, frame)) continue;
    const values = series.valuesAt(frame.times);
    rows.forEach((row, bucket) => {
      addIncreases(row.values, values.map((value) => value && value[bucket + 1]), frame);
    });
  }
  return { rows, boundsAt, isExponential: false, since: frame.since };
}

/** A quantile at each tick, as `histogram_quantile` computes it: interpolated linearly in a classic bucket, exponentially in a native one. */
export function quantile(q, { rows, isExponential, since }) {
  return since.map((_, tick) => quantileAt(q, rows, isExponential, tick));
}

function quantileAt(q, rows, isExponential, tick) {
  let count = 0;
  for (const { values } of rows) count += values[tick];
  if (!(count > 0)) return NaN;
  let below = 0;
  let last = null;
  for (const row of rows) {
    const inside = row.values[tick];
    if (!(inside > 0)) continue;
    last = row;
    if (below + inside >= q * count) return interpolate(row, (q * count - below) / inside, isExponential);
    below += inside;
  }
  return last.upper;
}

function interpolate({ lower, upper }, share, isExponential) {
  if (!isExponential) return upper === Infinity ? lower : lower + (upper - lower) * share;
  if (lower > 0) return lower * (upper / lower) ** share;
  return upper < 0 ? upper * (lower / upper) ** (1 - share) : 0;
}

/** One array divided by another; NaN where the second is 0. */
export function ratio(parts, wholes) {
  return parts.map((part, i) => wholes[i] > 0 ? part / wholes[i] : NaN);
}

/** The last value of each series, if it exists now. */
export function current(seriesList) {
  return seriesList.filter((series) => !series.isGone && series.values.length > 0);
}

/** Series by the result of a function, in the order of the results. */
export function groupBy(seriesList, keyOf) {
  const groups = new Map();
  for (const series of seriesList) {
    const key = keyOf(series);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(series);
  }
  return new Map([...groups].sort(([a], [b]) => a < b ? -1 : 1));
}

/** Whether a series changes in a frame. Most of many series do not, and their increase is 0. */
function changes(series, frame) {
  return series.times.at(-1) > frame.times[0];
}

function emptySums(frame) {
  return frame.since.map((since) => since < 0 ? NaN : 0);
}

function addIncreases(sums, values, frame) {
  frame.since.forEach((since, i) => {
    if (since < 0 || values[i] === null || values[since] === null) return;
    const increase = values[i] - values[since];
    const seconds = (frame.times[i] - frame.times[since]) / 1_000;
    // A counter that decreased started again at 0.
    sums[i] += (increase >= 0 ? increase : values[i]) / seconds;
  });
}
