// Draws charts on a canvas: lines, stacked areas and heat maps over time.

import { cssColor } from './colors.js';
import { formatTick, formatTime } from './format.js';
import { MAX_GAP } from './store.js';

const FONT = '11px system-ui, sans-serif';
const MARGIN = { top: 8, right: 8, bottom: 20, left: 52 };

/** The part of a canvas inside of its axes, with scales. */
class Area {
  constructor(canvas, { from, to }) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = canvas;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    this.context = canvas.getContext('2d');
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, clientWidth, clientHeight);
    this.context.font = FONT;
    Object.assign(this, { from, to });
    this.left = MARGIN.left;
    this.right = clientWidth - MARGIN.right;
    this.top = MARGIN.top;
    this.bottom = clientHeight - MARGIN.bottom;
  }

  x(time) {
    return this.left + ((time - this.from) / (this.to - this.from)) * (this.right - this.left);
  }

  /** Runs a function that draws inside of the axes only. */
  clip(draw) {
    const { context, left, right, top, bottom } = this;
    context.save();
    context.beginPath();
    context.rect(left, top - 2, right - left, bottom - top + 4);
    context.clip();
    draw(context);
    context.restore();
  }
}

/** The time at a position in a canvas. */
export function timeAt(canvas, clientX, { from, to }) {
  const box = canvas.getBoundingClientRect();
  const share = (clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
  return from + Math.min(1, Math.max(0, share)) * (to - from);
}

/** Draws lines, or areas on top of each other. */
export function drawLines(canvas, { span, times, lines, stacked, unit, cursor, selection }) {
  const area = new Area(canvas, span);
  const shown = stacked ? stack(lines) : lines.map((line) => ({ ...line, top: line.values, base: null }));
  const { low, high, ticks } = valueAxis(area, shown, times, { stacked, unit });
  const y = (value) => area.bottom - ((value - low) / (high - low)) * (area.bottom - area.top);
  drawAxes(area, ticks.map((value) => ({ y: y(value), text: formatTick(value, unit) })));
  area.clip((context) => {
    // Later lines are below earlier ones.
    for (const line of [...shown].reverse()) {
      context.strokeStyle = cssColor(line.color);
      context.fillStyle = cssColor(line.color);
      context.globalAlpha = line.opacity ?? 1;
      if (line.base) fillBetween(context, area, times, line, y);
      strokeLine(context, area, times, line, y);
      context.globalAlpha = 1;
    }
  });
  drawCursor(area, cursor, selection);
}

/** Draws a heat map: a column for each tick, a row for each bucket, darker where more observations are. */
export function drawHeatmap(canvas, { span, times, rows, boundsAt, unit, cursor, selection }) {
  const area = new Area(canvas, span);
  const { first, last } = usedPositions(area, times, rows);
  const rowHeight = (area.bottom - area.top) / (last - first + 1);
  const y = (position) => area.bottom - (position - first) * rowHeight;
  const step = Math.ceil(18 / rowHeight);
  const labels = [];
  for (let position = first; position <= last; position += step) {
    labels.push({ y: y(position + 1), text: formatTick(boundsAt(position)[1], unit) });
  }
  drawAxes(area, labels);
  const highest = highestRate(area, times, rows);
  const gap = rowHeight > 4 ? 1 : 0;
  area.clip((context) => {
    context.fillStyle = cssColor('--heat');
    times.forEach((time, i) => {
      const right = Math.round(area.x(time));
      const isAfterGap = i === 0 || time - times[i - 1] > MAX_GAP;
      const left = isAfterGap ? right - 2 : Math.round(area.x(times[i - 1]));
      if (right < area.left) return;
      for (const { position, values } of rows) {
        if (!(values[i] > 0)) continue;
        // The root makes rare, slow requests visible.
        context.globalAlpha = 0.12 + 0.88 * Math.sqrt(values[i] / highest);
        // Whole pixels, because rows would shine through at shared ones. Rows of native buckets may be lower than that.
        const top = Math.round(y(position + 1));
        context.fillRect(left, top, right - left, Math.max(1, Math.round(y(position)) - top - gap));
      }
    });
    context.globalAlpha = 1;
  });
  drawCursor(area, cursor, selection);
}

/** Draws a small line without axes. */
export function drawSparkline(canvas, { span, times, values, color }) {
  const area = new Area(canvas, span);
  Object.assign(area, { left: 1, right: canvas.clientWidth - 1, top: 2, bottom: canvas.clientHeight - 2 });
  const high = Math.max(...values.filter(Number.isFinite), 0) || 1;
  const y = (value) => area.bottom - (value / high) * (area.bottom - area.top);
  area.context.strokeStyle = cssColor(color);
  strokeLine(area.context, area, times, { top: values, dash: [] }, y, 1.25);
}

/** The position of the row under the pointer in a heat map; null if there is none. */
export function positionAt(canvas, clientY, { span, times, rows }) {
  const box = canvas.getBoundingClientRect();
  const visible = { ...span, bottom: box.height - MARGIN.bottom, top: MARGIN.top };
  const { first, last } = usedPositions(visible, times, rows);
  const share = (visible.bottom - (clientY - box.top)) / (visible.bottom - visible.top);
  const position = first + Math.floor(share * (last - first + 1));
  return position >= first && position <= last ? position : null;
}

/** The positions of the first and the last row with observations. */
function usedPositions(area, times, rows) {
  const used = rows.filter(({ values }) => values.some((rate, i) => rate > 0 && times[i] >= area.from));
  const [first, last] = used.length > 0 ? [used[0], used.at(-1)] : [rows[0], rows.at(-1)];
  return { first: first?.position ?? 0, last: last?.position ?? 0 };
}

function highestRate(area, times, rows) {
  let highest = 0;
  for (const { values } of rows) {
    values.forEach((rate, i) => {
      if (times[i] >= area.from && rate > highest) highest = rate;
    });
  }
  return highest || 1;
}

/** Adds to each line its lower and upper edge on top of the lines before it. */
function stack(lines) {
  let base = lines[0]?.values.map(() => 0) ?? [];
  return lines.map((line) => {
    const top = line.values.map((value, i) => base[i] + value);
    const stacked = { ...line, base, top };
    base = top.map((value, i) => Number.isNaN(value) ? base[i] : value);
    return stacked;
  });
}

function valueAxis(area, lines, times, { stacked: isStacked, unit = '' }) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    line.top.forEach((value, i) => {
      if (times[i] < area.from || !Number.isFinite(value)) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    });
  }
  const isRatio = unit === 'ratio';
  if (low > high) return { low: 0, high: 1, ticks: [0] };
  const largest = high;
  // The axis starts at 0, unless the values are far from it.
  if (isStacked || (low >= 0 && low < 0.7 * high) || low === high) low = Math.min(0, low);
  if (low === high) high = low + (isRatio ? 0.01 : 1);
  // Steps of bytes are round in the unit in which the largest value is shown.
  const base = unit.startsWith('bytes') ? 1024 ** Math.max(0, Math.floor(Math.log2(high) / 10)) : 1;
  const step = niceStep((high - low) / Math.max(2, (area.bottom - area.top) / 34) / base) * base;
  low = Math.floor(low / step) * step;
  high = Math.ceil((high + (high - low) * 0.02) / step) * step;
  if (isRatio && largest <= 1) high = Math.min(high, 1);
  const count = Math.round((high - low) / step);
  return { low, high, ticks: Array.from({ length: count + 1 }, (_, i) => low + i * step) };
}

/** 1, 2 or 5 times a power of ten, not less than a number. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999);
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300].map((seconds) => seconds * 1_000);

function drawAxes(area, labels) {
  const { context, left, right, bottom, from, to } = area;
  context.fillStyle = cssColor('--muted');
  context.strokeStyle = cssColor('--grid');
  context.lineWidth = 1;
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const { y, text } of labels) {
    context.beginPath();
    context.moveTo(left, Math.round(y) + 0.5);
    context.lineTo(right, Math.round(y) + 0.5);
    context.stroke();
    context.fillText(text, left - 6, y);
  }
  const least = ((to - from) / (right - left)) * 75;
  const step = TIME_STEPS.find((candidate) => candidate >= least) ?? 600_000;
  context.textAlign = 'center';
  context.textBaseline = 'alphabetic';
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const x = area.x(time);
    if (x - 24 < left - 20 || x + 24 > right + 8) continue;
    context.fillText(formatTime(time), x, bottom + 15);
  }
}

function strokeLine(context, area, times, { top, dash }, y, width = 1.6) {
  context.lineWidth = width;
  context.lineJoin = 'round';
  context.setLineDash(dash ?? []);
  context.beginPath();
  let isDrawing = false;
  top.forEach((value, i) => {
    if (!Number.isFinite(value)) {
      isDrawing = false;
      return;
    }
    const x = area.x(times[i]);
    const isAlone = !isDrawing && !Number.isFinite(top[i + 1] ?? NaN);
    if (isDrawing) context.lineTo(x, y(value));
    else context.moveTo(isAlone ? x - 1 : x, y(value));
    if (isAlone) context.lineTo(x + 1, y(value));
    isDrawing = true;
  });
  context.stroke();
  context.setLineDash([]);
}

/** Fills the area between two edges, one polygon for each part without gaps. */
function fillBetween(context, area, times, { base, top }, y) {
  const opacity = context.globalAlpha;
  context.globalAlpha = opacity * 0.25;
  let first = 0;
  for (let i = 0; i <= times.length; i++) {
    if (Number.isFinite(top[i] ?? NaN)) continue;
    if (i - first > 1) fillPart(context, area, times, { base, top }, y, first, i);
    first = i + 1;
  }
  context.globalAlpha = opacity;
}

function fillPart(context, area, times, { base, top }, y, first, end) {
  context.beginPath();
  for (let i = first; i < end; i++) context.lineTo(area.x(times[i]), y(top[i]));
  for (let i = end - 1; i >= first; i--) context.lineTo(area.x(times[i]), y(base[i]));
  context.fill();
}

function drawCursor(area, cursor, selection) {
  const { context, top, bottom, from, to } = area;
  if (selection) {
    const [left, right] = [selection.from, selection.to].map((time) => area.x(time)).sort((a, b) => a - b);
    context.fillStyle = cssColor('--selection');
    context.fillRect(left, top, right - left, bottom - top);
  }
  if (cursor === null || cursor < from || cursor > to) return;
  context.strokeStyle = cssColor('--muted');
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(Math.round(area.x(cursor)) + 0.5, top);
  context.lineTo(Math.round(area.x(cursor)) + 0.5, bottom);
  context.stroke();
}
