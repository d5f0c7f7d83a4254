// Keeps the samples of the last ten minutes: the time of each tick, and for each series only its changes.

import { changedNative, emptyNative } from './native.js';

/** Rates and quantiles are over this many milliseconds. */
export const WINDOW = 10_000;

/** Milliseconds that are kept: ten minutes, and the ticks before them that their first rates need. */
const KEPT = 650_000;

/** If ticks are further apart than this, there is a gap between them. */
export const MAX_GAP = 30_000;

export class Series {
  constructor(family, labels, bounds, created) {
    this.family = family;
    this.labels = labels;
    this.bounds = bounds;
    this.created = created;
    this.times = [];
    this.values = [];
    this.isGone = false;
    /** The last id that the service gave to this series. */
    this.id = null;
  }

  label(name) {
    return this.labels.get(name) ?? '';
  }

  get last() {
    return this.values.at(-1);
  }

  push(time, value) {
    this.times.push(time);
    this.values.push(value);
    this.isGone = value === null;
  }

  /** The value at each of these ascending times: that of the last change. A counter is 0 before it was registered. */
  valuesAt(times) {
    let i = upperBound(this.times, times[0]) - 1;
    return times.map((time) => {
      while (i + 1 < this.times.length && this.times[i + 1] <= time) i++;
      if (i >= 0) return this.values[i];
      return time < this.created ? zero(this.values[0]) : this.values[0];
    });
  }

  /** Removes changes before a time, except the last of them. */
  trim(time) {
    const first = upperBound(this.times, time) - 1;
    if (first > 0) {
      this.times.splice(0, first);
      this.values.splice(0, first);
    }
  }
}

function zero(value) {
  if (value?.schema !== undefined) return emptyNative(value.schema);
  return Array.isArray(value) ? value.map(() => 0) : 0;
}

export class Family {
  constructor(name, kind, help, unit, isNative) {
    Object.assign(this, { name, kind, help, unit, isNative });
    /** Series by their labels. */
    this.byLabels = new Map();
  }

  get series() {
    return [...this.byLabels.values()];
  }
}

export class Store {
  /** Families by name. */
  families = new Map();
  /** Layers by id, as the service describes them. */
  layers = new Map();
  /** The time of each tick. */
  times = [];
  /** The times of ticks before which there is no comparable one, because the service restarted. */
  restarts = [];
  /** Series that the service does not send. */
  hidden = 0;
  maxSeries = 0;
  /** Changes when families or series are added or removed. */
  version = 0;

  #instance = null;
  #familiesById = new Map();
  #seriesById = new Map();
  #changes = new Map();
  #hasRestarted = false;
  /** Series that were known before the stream started again, and that it has not announced. */
  #unconfirmed = new Set();

  get lastTime() {
    return this.times.at(-1) ?? 0;
  }

  /** Takes one line of the stream. Returns whether it ended a tick. */
  line(line) {
    if (line.hello) this.#hello(line);
    else if (line.layers) this.#addLayers(line.layers);
    else if (line.families) line.families.forEach((family) => this.#addFamily(...family));
    else if (line.series) line.series.forEach((series) => this.#addSeries(...series));
    else if (line.values) this.#setValues(line.values);
    else if (line.tick) return this.#tick(line);
    return false;
  }

  /** The stream starts, or starts again with older ticks, of which some are known. */
  #hello({ hello, time, max_series: maxSeries }) {
    this.#hasRestarted = this.#instance !== null && this.#instance !== hello;
    // The clock of the new process is behind: all its ticks would count as known.
    if (this.#hasRestarted && time < this.lastTime - WINDOW) this.#clear();
    this.#instance = hello;
    this.maxSeries = maxSeries;
    this.#familiesById.clear();
    this.#seriesById.clear();
    this.#changes.clear();
    for (const family of this.families.values()) {
      for (const series of family.series) if (!series.isGone) this.#unconfirmed.add(series);
    }
  }

  #clear() {
    this.times = [];
    this.restarts = [];
    this.families.clear();
    this.layers.clear();
    this.#unconfirmed.clear();
    this.#hasRestarted = false;
    this.version++;
  }

  #addLayers(layers) {
    for (const layer of layers) this.layers.set(layer.id, layer);
    this.version++;
  }

  #addFamily(id, name, kind, help, unit, bounds, isNative) {
    let family = this.families.get(name);
    if (family?.kind !== kind || family.isNative !== isNative) family = new Family(name, kind, help, unit, isNative);
    family.help = help;
    this.families.set(name, family);
    this.#familiesById.set(id, { family, bounds });
  }

  #addSeries(id, familyId, pairs, created) {
    const { family, bounds } = this.#familiesById.get(familyId);
    // It was forgotten because all its series were gone, or has again the type that it had before.
    this.families.set(family.name, family);
    const labels = new Map();
    for (let i = 0; i < pairs.length; i += 2) labels.set(pairs[i], pairs[i + 1]);
    const key = JSON.stringify(pairs);
    let series = family.byLabels.get(key);
    if (!series || series.bounds.join() !== bounds.join()) {
      series = new Series(family, labels, bounds, created);
      family.byLabels.set(key, series);
      this.version++;
    }
    this.#unconfirmed.delete(series);
    series.id = id;
    this.#seriesById.set(id, series);
  }

  #setValues(values) {
    for (let i = 0; i < values.length; i += 2) {
      const series = this.#seriesById.get(values[i]);
      if (series) this.#changes.set(series, parse(values[i + 1], this.#changes.get(series) ?? series.last));
    }
  }

  #tick({ tick: time, hidden, gone }) {
    for (const id of gone) {
      const series = this.#seriesById.get(id);
      // A series that was gone and came back within this tick has a newer id.
      if (series?.id === id) this.#changes.set(series, null);
      this.#seriesById.delete(id);
    }
    // A known tick: its changes are kept for the first one that is new.
    if (time <= this.lastTime) return false;
    for (const series of this.#unconfirmed) this.#changes.set(series, null);
    this.#unconfirmed.clear();
    for (const [series, value] of this.#changes) {
      if (value === null) this.version++;
      series.push(time, value);
    }
    this.#changes.clear();
    this.times.push(time);
    this.hidden = hidden;
    if (this.#hasRestarted) this.restarts.push(time);
    this.#hasRestarted = false;
    if (this.times.length % 30 === 0) this.#trim(time - KEPT);
    return true;
  }

  #trim(time) {
    this.times.splice(0, upperBound(this.times, time));
    this.restarts = this.restarts.filter((restart) => restart > time);
    for (const family of this.families.values()) {
      for (const [key, series] of family.byLabels) {
        series.trim(time);
        const isOver = series.isGone && series.times.at(-1) < time;
        if (isOver) family.byLabels.delete(key);
      }
      if (family.byLabels.size === 0) this.families.delete(family.name);
    }
  }

  /** The ticks from one time to another, with those before that their rates need. */
  frame(from, to) {
    const first = upperBound(this.times, from - WINDOW - MAX_GAP);
    return this.#frameOf(this.times.slice(first, upperBound(this.times, to)));
  }

  /** A frame for the values at one time only: its last tick, and the one that rates are relative to. */
  instant(to) {
    const frame = this.frame(to - 1, to);
    const last = frame.times.length - 1;
    const since = frame.since[last] ?? -1;
    if (since < 0) return { times: frame.times.slice(-1), since: [-1] };
    return { times: [frame.times[since], frame.times[last]], since: [-1, 0] };
  }

  /** Adds to each tick the index of the tick that its rates are relative to, or -1. */
  #frameOf(times) {
    let segment = 0;
    let j = 0;
    const since = times.map((time, i) => {
      const isAfterGap = i > 0 && time - times[i - 1] > MAX_GAP;
      if (isAfterGap || this.restarts.includes(time)) segment = i;
      j = Math.max(j, segment);
      while (j + 1 < i && times[j + 1] <= time - WINDOW + 500) j++;
      return j < i ? j : -1;
    });
    return { times, since };
  }
}

/** JSON has no NaN and no infinities: they are sent as texts. */
function parse(value, before) {
  if (value.sum !== undefined) return changedNative(before, value);
  return Array.isArray(value) ? value.map(Number) : Number(value);
}

/** The index of the first element that is greater than a value, in ascending numbers. */
export function upperBound(numbers, value) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
