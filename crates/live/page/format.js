// Numbers and times as text.

const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** The unit of a family's values: seconds, bytes, ratio or none. */
export function unitOf(family) {
  const name = family.name.replace(/_total$/, '');
  if (name.endsWith('_seconds') || family.unit === 'seconds') return 'seconds';
  if (name.endsWith('_bytes') || family.unit === 'bytes') return 'bytes';
  if (name.endsWith('_ratio')) return 'ratio';
  return '';
}

/** A value with its unit, in at most three significant digits. `unit` may end with /s. */
export function formatValue(value, unit = '') {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  const [base, per] = unit.split('/');
  return scaled(value, base) + (per ? `/${per}` : '');
}

function scaled(value, unit) {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  switch (unit) {
    case 'seconds': return seconds(value);
    case 'bytes': return withPrefix(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
    case 'ratio': return `${digits(value * 100)} %`;
    default: return withPrefix(value, 1000, ['', 'k', 'M', 'G', 'T']).trim();
  }
}

function seconds(value) {
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7200) return `${digits(value / 60)} min`;
  return `${digits(value / 3600)} h`;
}

function withPrefix(value, base, prefixes) {
  let i = 0;
  let rest = value;
  // 999.5 is shown as 1000 with three digits, so it gets the next prefix.
  while (Math.abs(rest) >= base * 0.9995 && i + 1 < prefixes.length) {
    rest /= base;
    i++;
  }
  return `${digits(rest)} ${prefixes[i]}`;
}

function digits(value) {
  return Math.abs(value) >= 1000 ? whole.format(value) : plain.format(value);
}

/** A whole number with separators, for totals. */
export function formatCount(value) {
  return Number.isFinite(value) ? whole.format(value) : '–';
}

export function formatTime(time) {
  return new Date(time).toLocaleTimeString('en-GB');
}

export function formatDateTime(time) {
  return `${new Date(time).toLocaleDateString('sv-SE')} ${formatTime(time)}`;
}

/** Labels as text, without those that every series of a list has. */
export function labelText(series, hidden) {
  const pairs = [...series.labels].filter(([name]) => !hidden.has(name));
  return pairs.map(([name, value]) => pairs.length === 1 ? value || `${name}=""` : `${name}=${value || '""'}`).join(' ');
}

/** The labels that have the same value in all series. */
export function commonLabels(seriesList) {
  const [first, ...others] = seriesList;
  const common = new Map(first?.labels);
  for (const series of others) {
    for (const [name, value] of common) {
      if (series.labels.get(name) !== value) common.delete(name);
    }
  }
  return common;
}
