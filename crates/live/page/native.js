// Native histograms: buckets whose bounds are the powers of 2^(2^-schema), of which only those with observations exist.

import { upperBound } from './store.js';

const NONE = { indexes: [], counts: [] };

/** The value of a histogram without observations. */
export function emptyNative(schema) {
  return { schema, sum: 0, zero: 0, count: 0, positive: NONE, negative: NONE };
}

/** The value after a change, which has only the buckets that changed. With a schema, it has all of them. */
export function changedNative(before, { schema, sum, zero, positive = [], negative = [] }) {
  const base = schema === undefined && before ? before : emptyNative(schema);
  const value = {
    schema: base.schema,
    sum: Number(sum),
    zero,
    positive: changedBuckets(base.positive, positive),
    negative: changedBuckets(base.negative, negative),
  };
  return { ...value, count: zero + total(value.positive) + total(value.negative) };
}

function total({ counts }) {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** `pairs` are indexes and counts. The indexes are shared with the value before, unless there are new ones. */
function changedBuckets(buckets, pairs) {
  if (pairs.length === 0) return buckets;
  let { indexes } = buckets;
  if (indexes.length === 0) return { indexes: pairs.filter((_, i) => i % 2 === 0), counts: pairs.filter((_, i) => i % 2 === 1) };
  const counts = [...buckets.counts];
  for (let i = 0; i < pairs.length; i += 2) {
    const place = upperBound(indexes, pairs[i] - 1);
    const isKnown = indexes[place] === pairs[i];
    if (!isKnown) indexes = indexes.toSpliced(place, 0, pairs[i]);
    counts.splice(place, isKnown ? 1 : 0, pairs[i + 1]);
  }
  return { indexes, counts };
}

/** Above all indexes, so that the keys of positive buckets are above 0. */
const OFFSET = 1_000_000;

/**
 * Calls a function with the key and the increase of each bucket between two values, at a resolution that is not higher
 * than theirs. Keys rise with the bounds of buckets: they are negative, 0 or positive, as their observations are.
 */
function forEachIncrease(before, now, resolution, visit) {
  // A count that decreased started again at 0.
  const base = now.count < before.count ? emptyNative(now.schema) : before;
  if (now.zero !== base.zero) visit(0, now.zero - base.zero);
  for (const [side, sign] of [['positive', 1], ['negative', -1]]) {
    const key = (index, { schema }) => sign * (OFFSET + ((index - 1) >> (schema - resolution)) + 1);
    const [from, to] = [base[side], now[side]];
    const isSame = from.indexes === to.indexes;
    to.counts.forEach((count, i) => {
      const increase = isSame ? count - from.counts[i] : count;
      if (increase !== 0) visit(key(to.indexes[i], now), increase);
    });
    if (!isSame) from.counts.forEach((count, i) => visit(key(from.indexes[i], base), -count));
  }
}

/** The lower and the upper bound of a bucket. */
function bounds(key, schema) {
  const bound = (index) => 2 ** (index * 2 ** -schema);
  const index = Math.abs(key) - OFFSET;
  if (key === 0) return [0, 0];
  return key > 0 ? [bound(index - 1), bound(index)] : [-bound(index), -bound(index - 1)];
}

/** The increase per second of each bucket, summed over series at their lowest resolution; see `bucketRates`. */
export function nativeRates(seriesList, frame) {
  const all = seriesList.map((series) => series.valuesAt(frame.times));
  const schemas = all.flatMap((values) => values.filter(Boolean).map(({ schema }) => schema));
  const schema = schemas.reduce((lowest, each) => Math.min(lowest, each), 8);
  const increases = new Map();
  for (const values of all) {
    for (let i = 1; i < values.length; i++) {
      const [before, now] = [values[i - 1], values[i]];
      if (!before || !now || before === now) continue;
      forEachIncrease(before, now, schema, (key, increase) => {
        if (!increases.has(key)) increases.set(key, frame.times.map(() => 0));
        increases.get(key)[i] += increase;
      });
    }
  }
  const used = [...increases].filter(([, counts]) => counts.some((count) => count > 0)).sort(([a], [b]) => a - b);
  return rowsOf(used.map(([key, counts]) => [key, windowRates(counts, frame)]), schema, frame);
}

/** Rates over the window of each tick, from the increases between ticks. */
function windowRates(increases, { times, since }) {
  let sum = 0;
  const sums = increases.map((increase) => (sum += increase));
  return since.map((first, i) => first < 0 ? NaN : (sums[i] - sums[first]) / ((times[i] - times[first]) / 1_000));
}

function rowsOf(rates, schema, frame) {
  let position = -1;
  let last = null;
  const rows = rates.map(([key, values]) => {
    // A bucket without observations has a place between those that have some, but none on both sides of 0.
    position += last !== null && last !== 0 && Math.sign(last) === Math.sign(key) ? key - last : 1;
    last = key;
    const [lower, upper] = bounds(key, schema);
    return { key, position, lower, upper, values };
  });
  const boundsAt = (at) => {
    const row = rows[upperBound(rows.map((each) => each.position), at) - 1];
    return row ? bounds(row.key + at - row.position, schema) : [0, 0];
  };
  return { rows, boundsAt, isExponential: true, since: frame.since };
}
