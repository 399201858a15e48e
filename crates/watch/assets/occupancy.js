// The past of one namespace with the forecast ahead: as charts, as a sentence, as a table.

import { chart, timeAt } from './chart.js';
import { el } from './dom.js';
import { MARKS } from './pictures.js';
import { UNKNOWN, count, duration, interval, isKnown, percent, rate, time } from './words.js';

export const RANGES = {
  hour: { secs: 3600, aheadSecs: 1800, to: 'second' },
  day: { secs: 86400, aheadSecs: 28800, to: 'moment' },
  week: { secs: 604800, aheadSecs: 86400, to: 'moment' },
};

/** Adds a reading to a history, and lets go what is older than an hour, or in the future since the clock was set. */
export function append(history, ns, taken) {
  const { points } = history.fine;
  while (points.length && points.at(-1)[0] >= taken) points.pop();
  points.push([taken, ns.entries, ns.new_entries_per_sec?.value ?? null, ns.lost_per_sec ?? null]);
  while (points[0][0] < taken - RANGES.hour.secs) points.shift();
}

/** What is drawn: the points of `range` up to `now`, and the forecast. */
export function scene(history, ns, now, range) {
  const { secs, aheadSecs } = RANGES[range];
  const ahead = forecast(ns, now, aheadSecs);
  const from = now - secs;
  const { step_secs: step, points } = range === 'hour' ? history.fine : history.coarse;
  const fine = ([t, entries, churn, lost]) => ({ t, least: entries, mean: entries, most: entries, churn, lost });
  const coarse = ([t, least, mean, most]) => ({ t, least, mean, most });
  const past = points.filter(([t]) => t >= from && t <= now).map(range === 'hour' ? fine : coarse);
  // What is being averaged now is not among the coarse points yet.
  if (ns && range !== 'hour') past.push(coarse([now, ns.entries, ns.entries, ns.entries]));
  return {
    range, from, now, ahead, step, past,
    to: ahead.at(-1)?.[0] ?? now,
    capacity: ns?.capacity ?? history.capacity ?? null,
  };
}

/** The charts at a width, with what is at the pointer, which a key may have moved. */
export function charts(scene, width, magnified, pointer) {
  if (!scene.past.length) return el('p', { class: 'empty' }, 'No reading of that time yet.');
  const { from, to, now, range } = scene;
  const pointed = pointer === null ? null : nearest(scene, timeAt(pointer, { width, from, to }));
  const frame = { width, from, to, now, pointed: pointed?.t ?? null };
  return [
    el('figure', null, occupancy(scene, frame, magnified), el('figcaption', null, el('p', null, summary(scene)), el('p', { class: 'quiet', 'aria-live': pointed ? 'polite' : 'off' }, pointed ? told(pointed, scene) : legend(scene)))),
    range === 'hour' && rates(scene, frame, 'churn', 'New entries a second'),
    range === 'hour' && rates(scene, frame, 'lost', 'Lost packets a second'),
  ];
}

function occupancy(scene, frame, magnified) {
  const { past, ahead, now, step, capacity } = scene;
  const highest = Math.max(1, ...past.map(({ most }) => most), ...ahead.map(([, value, , high]) => high ?? value));
  const last = past.at(-1);
  const gap = step * 2.5;
  return chart({
    ...frame,
    height: frame.width < 480 ? 230 : 290,
    label: `Entries over time. ${summary(scene)}`,
    top: magnified || !isKnown(capacity) ? highest * 1.08 : Math.max(capacity, Math.max(...past.map(({ most }) => most))),
    bands: [
      { kind: 'band past', gap, points: past.map(({ t, least, most }) => [t, least, most]) },
      { kind: 'band ahead', gap: Infinity, points: ahead.map(([t, , low, high]) => [t, low, high]) },
    ],
    lines: [
      { kind: 'line entries', gap, points: past.map(({ t, mean }) => [t, mean]) },
      { kind: 'line ahead', gap: Infinity, points: ahead },
      { kind: 'dot', gap, points: [[Math.min(last.t, now), last.mean]] },
    ],
    rules: !isKnown(capacity) ? [] : [
      { value: capacity, text: `capacity ${count(capacity)}`, kind: 'capacity' },
      ...MARKS.map((mark) => ({ value: capacity * mark, text: `${mark * 100}\u00a0%`, kind: 'mark' })),
    ],
  });
}

function rates(scene, frame, what, title) {
  const known = scene.past.filter((point) => isKnown(point[what]));
  if (!known.length) return el('p', { class: 'flat' }, `${title}: ${UNKNOWN}.`);
  const highest = Math.max(...known.map((point) => point[what]));
  if (highest === 0) return el('p', { class: 'flat' }, `${title}: none in the last hour.`);
  const mean = known.reduce((sum, point) => sum + point[what], 0) / known.length;
  const words = `${title}: ${rate(known.at(-1)[what])} now; in the last hour ${rate(mean)} in the mean, ${rate(highest)} at most.`;
  return el('figure', { class: what }, chart({
    ...frame,
    height: 108,
    label: words,
    top: highest * 1.1,
    bands: [{ kind: `band ${what}`, gap: scene.step * 2.5, points: scene.past.map((point) => [point.t, isKnown(point[what]) ? 0 : null, point[what]]) }],
    lines: [{ kind: `line ${what}`, gap: scene.step * 2.5, points: scene.past.map((point) => [point.t, point[what]]) }],
    rules: [],
  }), el('figcaption', null, el('p', null, words)));
}

function summary({ past, ahead, range, now }) {
  const last = past.at(-1);
  const first = past[0];
  const since = now - first.t < RANGES[range].secs * 0.9 ? duration(now - first.t) : range;
  const change = last.mean - first.mean;
  const moved = Math.abs(change) < 1 ? 'as many as at its beginning' : `${count(Math.abs(change))} ${change > 0 ? 'more' : 'fewer'} than at its beginning`;
  const spread = `In the last ${since} ${count(Math.min(...past.map(({ least }) => least)))} to ${count(Math.max(...past.map(({ most }) => most)))} entries; now ${count(last.mean)}, ${moved}.`;
  if (ahead.length < 2) return `${spread} No forecast.`;
  const [t, value, low, high] = ahead.at(-1);
  return `${spread} Foreseen in ${duration(t - now)}: ${count(value)} (${interval({ low, high }, count)}).`;
}

const legend = ({ range, ahead, step }) => [
  range === 'hour' ? 'Line: entries at each reading.' : `Line: entries in the mean of ${duration(step)}; band: the least and the most.`,
  ahead.length > 1 ? 'Dashed: forecast, its band at 95\u00a0%.' : '',
].join(' ');

function told(point, { capacity, range }) {
  const share = isKnown(capacity) && capacity > 0 ? ` (${percent(point.mean / capacity)})` : '';
  if (point.low !== undefined) return `${time(point.t, 'moment')}, forecast: ${count(point.mean)} entries (${interval(point, count)})${share}`;
  const spread = range === 'hour' ? `, ${rate(point.churn)} new a second, lost ${rate(point.lost)}` : `, ${count(point.least)} to ${count(point.most)}`;
  return `${time(point.t, RANGES[range].to)}: ${count(point.mean)} entries${share}${spread}`;
}

function nearest({ past, ahead, now }, t) {
  const points = t <= now ? past : ahead.map(([at, mean, low, high]) => ({ t: at, mean, low, high }));
  return points.reduce((best, point) => (best && Math.abs(best.t - t) <= Math.abs(point.t - t) ? best : point), null);
}

/** [time, value, low, high] from now on, cut at the edge. */
function forecast(ns, now, aheadSecs) {
  if (!ns?.forecast?.ahead?.length) return [];
  const points = [[now, ns.entries, ns.entries, ns.entries]];
  for (const { in_secs: secs, entries: { value, low, high } } of ns.forecast.ahead) {
    const before = points.at(-1);
    const point = [now + secs, value, low, high];
    if (secs > aheadSecs) {
      const share = (now + aheadSecs - before[0]) / (point[0] - before[0]);
      points.push(point.map((end, n) => (end === null || before[n] === null ? null : before[n] + share * (end - before[n]))));
      break;
    }
    points.push(point);
    if (secs === aheadSecs) break;
  }
  return points;
}

/** The readings as a table, in about twenty rows. */
export function table(scene) {
  const { past, ahead, range, now } = scene;
  const every = Math.max(1, Math.ceil(past.length / 20));
  const rows = past.filter((_, n) => (past.length - 1 - n) % every === 0).reverse();
  const later = ahead.slice(1).filter((_, n, all) => n % Math.max(1, Math.ceil(all.length / 6)) === 0 || n === all.length - 1);
  return [
    range === 'hour'
      ? columns(['Time', 'Entries', 'New a second', 'Lost a second'], rows.map(({ t, mean, churn, lost }) => [time(t, 'second'), count(mean), rate(churn), rate(lost)]))
      : columns(['Time', 'Least', 'Mean', 'Most'], rows.map(({ t, least, mean, most }) => [time(t, 'moment'), ...[least, mean, most].map(count)])),
    later.length > 0 && columns(['Forecast', 'Entries', 'Interval'], later.map(([t, value, low, high]) => [`in ${duration(t - now)}`, count(value), interval({ low, high }, count)])),
  ];
}

const columns = (head, rows) => el('table', null,
  el('thead', null, el('tr', null, head.map((title, n) => el('th', { scope: 'col', class: n > 0 && 'n' }, title)))),
  el('tbody', null, rows.map(([first, ...cells]) => el('tr', null, el('th', { scope: 'row' }, first), cells.map((cell) => el('td', { class: 'n' }, cell))))));
