// Saves charts as PNG and CSV.

import { cssColor } from './colors.js';
import { el } from './dom.js';
import { formatDateTime } from './format.js';
import { upperBound } from './store.js';

/** A file name from a title: letters and digits only. */
export function fileName(title, extension) {
  return `${title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || 'chart'}.${extension}`;
}

/** Offers a file for download. */
export function download(name, mediaType, content) {
  const url = URL.createObjectURL(new Blob([content], { type: mediaType }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The values of a chart in its range: a column for each line or bucket, a row for each tick. */
export function chartToCsv({ times, span, lines, rows: buckets, isExponential }) {
  const nameOf = ({ lower, upper }) => isExponential ? `${lower} to ${upper}` : `le=${upper === Infinity ? '+Inf' : upper}`;
  const columns = buckets ? buckets.map((bucket) => ({ name: nameOf(bucket), values: bucket.values })) : lines;
  const rows = [['time', ...columns.map(({ name }) => name)]];
  for (let i = upperBound(times, span.from - 1); i < times.length; i++) {
    const values = columns.map(({ values }) => Number.isFinite(values[i]) ? String(values[i]) : '');
    rows.push([new Date(times[i]).toISOString(), ...values]);
  }
  return `${rows.map((row) => row.map(quote).join(',')).join('\r\n')}\r\n`;
}

function quote(text) {
  // A spreadsheet would run a label value as a formula.
  const safe = /^[=+@\t\r]/.test(text) || /^-[^\d]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const PADDING = 16;
const LINE_HEIGHT = 18;

/** Saves a canvas with its title and legend. */
export function chartToPng(app, canvas, { title }, legend) {
  const ratio = canvas.width / canvas.clientWidth;
  const shown = [...legend.querySelectorAll('.entry:not([aria-pressed=false])')];
  const entries = shown.map(({ children: [swatch, name, value] }) => ({
    color: swatch.hidden ? null : getComputedStyle(swatch).getPropertyValue('--swatch'),
    text: `${name.textContent}  ${value.textContent}`,
  }));
  const width = canvas.clientWidth + 2 * PADDING;
  const height = canvas.clientHeight + 2 * PADDING + (entries.length + 1.5) * LINE_HEIGHT;
  const image = el('canvas', { width: width * ratio, height: height * ratio });
  const context = image.getContext('2d');
  context.scale(ratio, ratio);
  context.fillStyle = cssColor('--card');
  context.fillRect(0, 0, width, height);
  context.fillStyle = cssColor('--text');
  context.font = '600 14px system-ui, sans-serif';
  context.fillText(`${title} – ${app.serviceName}, ${formatDateTime(app.store.lastTime)}`, PADDING, PADDING + 12);
  context.drawImage(canvas, PADDING, PADDING + 1.5 * LINE_HEIGHT, canvas.clientWidth, canvas.clientHeight);
  context.font = '12px system-ui, sans-serif';
  entries.forEach(({ color, text }, i) => {
    const y = canvas.clientHeight + PADDING + (i + 2.3) * LINE_HEIGHT;
    if (color) {
      context.fillStyle = cssColor(color.trim().replace(/^var\((.*)\)$/, '$1')) || color;
      context.fillRect(PADDING, y - 9, 10, 10);
    }
    context.fillStyle = cssColor('--text');
    context.fillText(text, PADDING + (color ? 16 : 0), y);
  });
  image.toBlob((blob) => download(fileName(title, 'png'), 'image/png', blob));
}
