// What is drawn: the load line, the signs of severity, bars with their intervals.

import { svg } from './dom.js';
import { isKnown, percent } from './words.js';

/** Above these shares of capacity the load line is under water. */
export const MARKS = [0.9, 0.75];

// The hull's deck is capacity, its keel an empty table.
const DECK = 56;
const KEEL = 216;
const WAVES = `M-60 0${'q15 -5 30 0t30 0'.repeat(9)}`;
const depth = (share) => KEEL - share * (KEEL - DECK);

/** A ship that lies as deep as the table is full, with its load line; `utilization` null where it is not known. */
export function loadLine(utilization) {
  const level = isKnown(utilization) ? depth(Math.min(Math.max(utilization, 0), 1.04)) : null;
  const over = MARKS.findIndex((mark) => utilization >= mark);
  return svg(
    'svg',
    { class: 'ship', viewBox: '0 0 400 250', role: 'img', 'aria-label': alternative(utilization) },
    svg('path', { class: 'house', d: 'M58 54V22h60v12h24v20zM72 22V6h20v16z' }),
    svg('path', { class: 'hull', d: 'M18 54H326Q362 52 390 34Q374 104 340 186Q330 216 304 216H72Q48 216 42 192Z' }),
    level !== null && svg(
      'g',
      { class: `water ${['over', 'near'][over] ?? ''}`, transform: `translate(0 ${level.toFixed(1)})` },
      svg('path', { class: 'sea', d: `${WAVES}V260H-60Z` }),
      svg('path', { class: 'surface', d: WAVES }),
    ),
    svg('path', { class: 'load deck', d: `M134 ${DECK}H262` }),
    svg('circle', { class: 'load', cx: 166, cy: depth(0.75), r: 21 }),
    svg('path', { class: 'load', d: `M128 ${depth(0.75)}h76M232 ${DECK}V${depth(0.75)}` }),
    MARKS.map((mark) => [
      svg('path', { class: 'load', d: `M232 ${depth(mark)}h30` }),
      svg('text', { class: 'load', x: 269, y: depth(mark) + 5 }, `${mark * 100}\u00a0%`),
    ]),
    level === null && svg('text', { class: 'load none', x: 186, y: 176 }, 'level not known'),
  );
}

function alternative(utilization) {
  if (!isKnown(utilization)) return 'Load line: the level is not known.';
  const place = ['below', 'between', 'above'][MARKS.filter((mark) => utilization >= mark).length];
  return `Load line: the water stands at ${percent(utilization)}, ${place} the lines at 75 % and 90 %.`;
}

const SIGNS = {
  ok: [svg('circle', { cx: 12, cy: 12, r: 10 }), svg('path', { d: 'M7 12.5l3.5 3.5L17 9' })],
  info: [svg('circle', { cx: 12, cy: 12, r: 10 }), svg('path', { d: 'M12 11v6M12 7v.1' })],
  unknown: [svg('path', { class: 'body', d: 'M12 1L23 12L12 23L1 12Z' }), svg('path', { d: 'M9.4 9.4a2.7 2.6 0 1 1 4 2.3q-1.4.8-1.4 2.1M12 17.2v.1' })],
  warning: [svg('path', { class: 'body', d: 'M12 2L23 21.5H1Z' }), svg('path', { d: 'M12 9v5M12 17.8v.1' })],
  critical: [svg('path', { class: 'body', d: 'M8 2h8l6 6v8l-6 6H8l-6-6V8Z' }), svg('path', { d: 'M8.5 8.5l7 7M15.5 8.5l-7 7' })],
};

/** The sign of a severity: each has a shape of its own. The word stands beside it. */
export const sign = (severity) => svg(
  'svg',
  { class: `sign ${severity in SIGNS ? severity : 'unknown'}`, viewBox: '0 0 24 24', 'aria-hidden': 'true' },
  (SIGNS[severity] ?? SIGNS.unknown).map((shape) => shape.cloneNode()),
);

/** A share of the whole as a bar, its interval as a whisker. */
export function bar(share) {
  const at = (value) => (Math.min(Math.max(value, 0), 1) * 100).toFixed(2);
  const high = isKnown(share?.high) ? share.high : share?.value;
  return svg(
    'svg',
    { class: 'bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { class: 'track', width: 100, height: 8 }),
    isKnown(share?.value) && svg('rect', { class: 'value', width: at(share.value), height: 8 }),
    isKnown(share?.low) && svg('path', { class: 'whisker', d: `M${at(share.low)} 4H${at(high)}M${at(share.low)} 1V7M${at(high)} 1V7` }),
  );
}
