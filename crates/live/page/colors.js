// Colours of charts: a palette that colour-blind people can tell apart, without red. Red is for errors only.

let cache = new Map();

/** The value of a custom property of the style, such as `--text`. */
export function cssColor(name) {
  if (!cache.has(name)) {
    cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return cache.get(name);
}

/** Forgets colours, after the theme changed. */
export function forgetColors() {
  cache = new Map();
}

const PALETTE = 8;

/** The name of a colour for the n-th line. After the palette, lines are dashed. */
export function lineStyle(n) {
  return { color: `--line-${n % PALETTE}`, dash: n < PALETTE ? [] : [4, 3] };
}

const CLASSES = { 1: '--line-5', 2: '--line-0', 3: '--line-3', 4: '--line-1' };

/** Styles for status values with `name` and `isError`: a colour for each class, dashes for further values of a class. */
export function statusStyles(statuses) {
  const counts = new Map();
  return statuses.map((status) => {
    const color = statusColor(status);
    const n = counts.get(color) ?? 0;
    counts.set(color, n + 1);
    return { color, dash: [[], [6, 3], [2, 2], [8, 2, 2, 2]][Math.min(n, 3)], opacity: Math.max(0.4, 1 - 0.25 * n) };
  });
}

function statusColor({ name: status, isError }) {
  if (isError) return '--error';
  if (/^[1-4](\d\d|xx)$/.test(status)) return CLASSES[status[0]];
  if (status === 'OK' || status === 'Ok') return '--line-0';
  return status === 'cancelled' || /^cancell?ed$/i.test(status) ? '--line-6' : '--line-1';
}
