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

/** A value with its unit, in three significant digits. `unit` may end with /s. */
export function formatValue(value, unit = '') {
  return format(value, unit, digits);
}

/** A value at an axis: like `formatValue`, without zeros at the end. */
export function formatTick(value, unit = '') {
  return format(value, unit, (number) => plain.format(number));
}

function format(value, unit, digits) {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const [base, per] = unit.split('/');
  const [factor, name] = scale(Math.abs(value), base);
  // A rate without a unit is `4.85/s`, one with a unit `4.85 ms/s`.
  const separator = name ? ' ' : '';
  return `${digits(value * factor)}${separator}${name}${per ? `/${per}` : ''}`;
}

/** The factor and the name of the unit in which a value of this size is shown. */
function scale(size, unit) {
  switch (unit) {
    case 'seconds':
      if (size === 0) return [1, 's'];
      if (size < 0.9995e-3) return [1e6, 'µs'];
      if (size < 0.9995) return [1e3, 'ms'];
      if (size < 120) return [1, 's'];
      return size < 7_200 ? [1 / 60, 'min'] : [1 / 3_600, 'h'];
    case 'bytes': return prefixed(size, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
    case 'ratio': return [100, '%'];
    default: return prefixed(size, 1000, ['', 'k', 'M', 'G', 'T']);
  }
}

function prefixed(size, base, prefixes) {
  let i = 0;
  // 999.5 would be shown as 1000 with three digits, so it gets the next prefix.
  while (size >= base ** (i + 1) * 0.9995 && i + 1 < prefixes.length) i++;
  return [base ** -i, prefixes[i]];
}

/** Three significant digits, also if the last ones are 0, so that numbers do not change their width; whole small numbers as they are. */
function digits(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1_000) return String(value);
  if (size >= 99.95) return whole.format(value);
  return value.toFixed(size >= 9.995 ? 1 : 2);
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
