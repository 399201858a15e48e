// Numbers, times and names in words. What is null is not known, and never 0.

export const UNKNOWN = 'not known';

const NBSP = '\u00a0';
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const brief = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

export const isKnown = (n) => typeof n === 'number' && Number.isFinite(n);

/** 183,211 */
export const count = (n) => (isKnown(n) ? whole.format(n) : UNKNOWN);

/** 183K, for the marks of an axis. */
export const short = (n) => brief.format(n);

/** 0.699 as 69.9 %. What is not quite nothing or all is not rounded to it. */
export const percent = (share) => percentFigure(share) + (isKnown(share) ? NBSP + '%' : '');

export function percentFigure(share) {
  if (!isKnown(share)) return UNKNOWN;
  if (share > 0 && share < 0.0005) return '<0.1';
  if (share < 1 && share >= 0.9995) return '>99.9';
  return tenths.format(share * 100);
}

/** A probability, which is never surer than it can be. */
export function chance(probability) {
  if (!isKnown(probability)) return UNKNOWN;
  if (probability < 0.01) return `under 1${NBSP}%`;
  if (probability > 0.99) return `over 99${NBSP}%`;
  return whole.format(probability * 100) + NBSP + '%';
}

/** Events a second. */
export function rate(n) {
  if (!isKnown(n)) return UNKNOWN;
  if (n > 0 && n < 0.05) return '<0.1';
  return n !== 0 && n < 100 ? tenths.format(n) : whole.format(n);
}

/** 790–835, or 790 or more. */
export function interval(estimate, form) {
  if (!estimate || !isKnown(estimate.low)) return '';
  return isKnown(estimate.high) ? `${form(estimate.low)}–${form(estimate.high)}` : `${form(estimate.low)} or more`;
}

const UNITS = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

/** 1 h 30 min: the two largest units at most, which is as exact as a forecast gets. */
export function duration(secs) {
  if (!isKnown(secs)) return UNKNOWN;
  if (secs < 1) return `under 1${NBSP}s`;
  const largest = UNITS.findIndex(([unit, size]) => secs >= (unit === 'd' ? 2 * size : size));
  const smallest = secs >= 600 && secs < 3600 ? largest : Math.min(largest + 1, UNITS.length - 1);
  const grain = UNITS[smallest][1];
  let rest = Math.round(secs / grain) * grain;
  // Rounding may carry: 59.7 s are 1 min.
  if (rest !== secs) return duration(rest);
  const parts = [];
  for (const [unit, size] of UNITS.slice(largest, smallest + 1)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n) parts.push(n + NBSP + unit);
  }
  return parts.join(' ');
}

/** 55.9 MiB */
export function bytes(n) {
  if (!isKnown(n)) return UNKNOWN;
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit += 1) n /= 1024;
  return (unit ? tenths : whole).format(n) + NBSP + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit];
}

const clocks = {
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  day: { weekday: 'short', day: 'numeric' },
  moment: { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
};
for (const [name, options] of Object.entries(clocks)) clocks[name] = new Intl.DateTimeFormat('en-GB', options);

/** A unix time, here and now, to the `second`, the `minute`, the `day` or the `moment` of a week. */
export const time = (unixSecs, to = 'minute') => clocks[to].format(unixSecs * 1000);

/** Text from outside: controls, bidi overrides and what has no shape are written out, so that nothing poses as something else. */
export function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, (c) => (c === '\n' ? c : `\\u{${c.codePointAt(0).toString(16)}}`));
}

export const cut = (text, length) => (text.length > length ? text.slice(0, length) + '…' : text);
