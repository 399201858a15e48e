// A chart over time: lines, bands, and rules across. It is drawn at the size in which it is shown, so that text keeps its size.

import { svg } from './dom.js';
import { short, time } from './words.js';

const LEFT = 46;
const RIGHT = 8;
const TOP = 18;
const BOTTOM = 24;
const STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800];

/**
 * From `from` to `to` in unix seconds, `now` being where the past ends, and from 0 to `top`. `bands` are of [time, low, high], `lines`
 * of [time, value]; a null value breaks them, and so does a pause of more than `gap` seconds. A high that is null has no bound.
 * `rules` lie across; `pointed` is a time to mark, or null; `label` is for who does not see it.
 */
export function chart({ width, height, from, to, now, top, bands, lines, rules, pointed, label }) {
  const x = (t) => LEFT + ((t - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (v) => TOP + (1 - Math.min(Math.max(v / top, 0), 1)) * (height - TOP - BOTTOM);
  const at = (t, v) => `${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
  const inside = (point) => point[0] >= from && point[0] <= to;

  const band = ({ points, gap, kind }) => runs(points.filter(inside), gap).map((run) => svg('path', {
    class: kind,
    d: `M${run.map(([t, low]) => at(t, low)).join('L')}L${run.toReversed().map(([t, , high]) => at(t, high ?? top)).join('L')}Z`,
  }));
  const line = ({ points, gap, kind }) => svg('path', {
    class: kind,
    d: runs(points.filter(inside), gap).map((run) => (run.length === 1
      ? `M${at(...run[0])}h.1` : `M${run.map(([t, v]) => at(t, v)).join('L')}`)).join(''),
  });
  const across = rules.filter(({ value }) => value <= top);

  return svg(
    'svg',
    { class: 'chart', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    values(top, (height - TOP - BOTTOM) / 44).map((v) => [
      svg('path', { class: 'grid', d: `M${LEFT} ${y(v)}H${width - RIGHT}` }),
      svg('text', { class: 'tick value', x: LEFT - 6, y: y(v) + 4 }, short(v)),
    ]),
    times(from, to, (width - LEFT - RIGHT) / 76).map(([t, text]) => [
      svg('path', { class: 'grid', d: `M${x(t)} ${height - BOTTOM}v4` }),
      svg('text', { class: 'tick', x: Math.min(x(t), width - 17), y: height - 5 }, text),
    ]),
    bands.map(band),
    across.map(({ value, kind }) => svg('path', { class: `rule ${kind}`, d: `M${LEFT} ${y(value)}H${width - RIGHT}` })),
    lines.map(line),
    across.map(({ value, kind, text }) => svg('text', { class: `rule ${kind}`, x: LEFT + 5, y: y(value) - 4 }, text)),
    now < to && [
      svg('path', { class: 'now', d: `M${x(now)} ${TOP}V${height - BOTTOM}` }),
      svg('text', { class: 'tick', x: Math.min(x(now), width - 30), y: 11 }, 'now'),
    ],
    pointed !== null && pointed >= from && pointed <= to && svg('path', { class: 'pointed', d: `M${x(pointed)} ${TOP}V${height - BOTTOM}` }),
  );
}

/** The unix time under a pointer that is `px` from the chart's left edge. */
export const timeAt = (px, { width, from, to }) => from + ((px - LEFT) / (width - LEFT - RIGHT)) * (to - from);

function runs(points, gap) {
  const found = [];
  let last = null;
  for (const point of points) {
    if (point[1] === null) {
      last = null;
      continue;
    }
    if (last === null || point[0] - last > gap) found.push([]);
    found.at(-1).push(point);
    last = point[0];
  }
  return found;
}

function values(top, most) {
  const raw = top / Math.max(most, 2);
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((n) => n * size >= raw) * size;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, n) => n * step);
}

function times(from, to, most) {
  const step = STEPS.find((secs) => (to - from) / secs <= Math.max(most, 2)) ?? 604800;
  const west = new Date(from * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let t = Math.ceil((from - west) / step) * step + west; t < to; t += step) found.push([t, time(t, step >= 86400 ? 'day' : 'minute')]);
  return found;
}
