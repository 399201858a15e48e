// The parts of the page: each takes what was read and gives elements.

import { el, name } from './dom.js';
import { bar, loadLine, sign } from './pictures.js';
import { UNKNOWN, bytes, chance, count, cut, duration, interval, isKnown, percent, percentFigure, rate } from './words.js';

const SEVERITIES = ['critical', 'warning', 'unknown', 'info'];
const VERDICTS = { ok: 'All is well', warning: 'Warning', critical: 'Critical', unknown: 'Not known' };
const MOST_ROWS = 500;
const MOST_ELSEWHERE = 10;

export const gravity = (finding) => (SEVERITIES.indexOf(finding.severity) + SEVERITIES.length + 1) % (SEVERITIES.length + 1);
export const linkTo = (namespace) => `#netns=${encodeURIComponent(namespace.toWellFormed?.() ?? namespace)}`;

const severity = (word) => el('span', { class: `severity ${SEVERITIES.includes(word) ? word : 'unknown'}` }, sign(word), word);
const named = (namespace) => name(cut(namespace, 100) || '(without a name)');
const choice = (namespace, attributes) => el('a', { href: linkTo(namespace), ...attributes }, named(namespace));

const gravestOf = (findings) => [...findings].sort((a, b) => gravity(a) - gravity(b))[0];

/** What is said aloud when it changes: the verdict, and which finding it comes from; no figures, which always change. */
export const announcement = ({ verdict: word, findings }, stale) => {
  const gravest = gravestOf(findings);
  return `${VERDICTS[word] ?? VERDICTS.unknown}${gravest ? `: ${cut(gravest.id, 100)} in ${cut(gravest.namespace || 'the host', 100)}` : ''}. ${stale ?? ''}`;
};

/** The answer to "is this host well?", and the gravest reason. */
export function verdict({ verdict: word, findings }, stale) {
  const gravest = gravestOf(findings);
  const others = findings.length - 1;
  const reason = word === 'ok' ? 'No namespace is near its capacity, and nothing is lost.'
    : !gravest ? 'Whether this host is well could not be told.'
    : [gravest.namespace && [choice(gravest.namespace), ': '], name(cut(gravest.title, 200)),
      others > 0 && ['; ', el('a', { href: '#findings' }, `${others} more finding${others > 1 ? 's' : ''}`)], '.'];
  return [
    el('p', { class: `verdict ${word in VERDICTS ? word : 'unknown'}` }, sign(word), el('strong', null, VERDICTS[word] ?? VERDICTS.unknown), el('span', null, reason)),
    stale && el('p', { class: 'stale' }, stale),
  ];
}

/** How full one namespace is, and where that leads. `ns` is null where there is no such namespace now. */
export function overview(chosen, ns) {
  const heading = el('h2', { id: 'chosen', tabindex: -1 }, named(chosen), ns?.relation === 'own' && el('small', null, 'the daemon’s own'));
  if (!ns) return [heading, el('p', { class: 'gone' }, 'There is no such namespace now. ', el('a', { href: '#namespaces' }, 'Choose another'), '.')];
  return [
    heading,
    el('div', { class: 'gauge' }, loadLine(ns.utilization), el('div', { class: 'reading' }, figure(ns), el('p', { id: 'headroom' }, headroom(ns)))),
    el('dl', null, facts(ns)),
  ];
}

function figure({ utilization }) {
  return isKnown(utilization)
    ? el('p', { class: 'figure', 'aria-hidden': 'true' }, percentFigure(utilization), el('small', null, '\u00a0%'))
    : el('p', { class: 'figure none', 'aria-hidden': 'true' }, '?');
}

export function headroom({ entries, capacity, utilization }) {
  if (!isKnown(capacity)) return `${count(entries)} entries; capacity ${UNKNOWN}`;
  const room = isKnown(entries) ? count(Math.max(0, capacity - entries)) : UNKNOWN;
  return `${count(entries)} of ${count(capacity)} entries, ${percent(utilization)}; headroom ${room}`;
}

function facts(ns) {
  const fact = (term, ...said) => [el('dt', null, term), el('dd', null, said)];
  const churn = ns.new_entries_per_sec;
  const range = interval(churn, rate);
  return [
    fact('Full', full(ns), ns.forecast?.because && el('span', { class: 'because' }, name(cut(ns.forecast.because, 500)))),
    fact('Chance of that', chances(ns.forecast)),
    fact('New entries', isKnown(churn?.value) ? [`${rate(churn.value)} a second`, range && quiet(` (${range})`)] : UNKNOWN),
    fact('Lost packets', loss(ns.lost_per_sec, 'critical')),
    fact('Evicted', loss(ns.evicted_per_sec, 'warning')),
    fact('Memory', bytes(ns.memory_bytes)),
  ];
}

const quiet = (text) => el('span', { class: 'quiet' }, text);

const isFull = ({ forecast, utilization }) => utilization >= 1 || (isKnown(forecast?.full_in_secs?.value) && forecast.full_in_secs.value < 1);

function full({ forecast, utilization }) {
  if (isFull({ forecast, utilization })) return el('strong', null, 'now');
  if (!forecast) return UNKNOWN;
  const secs = forecast.full_in_secs;
  if (!isKnown(secs?.value)) return 'not foreseen';
  const bounds = [
    isKnown(secs.low) && `at the earliest in ${duration(secs.low)}`,
    isKnown(secs.high) ? `at the latest in ${duration(secs.high)}` : 'perhaps never',
  ].filter(Boolean).join(', ');
  return [el('strong', null, `in about ${duration(secs.value)}`), quiet(` (${bounds})`)];
}

function chances(forecast) {
  if (!forecast?.within?.length) return UNKNOWN;
  // What is sure soon is sure later, and what is not to be feared for long is not to be feared sooner.
  const said = forecast.within.map(({ secs, probability }) => [chance(probability), duration(secs)]);
  return said
    .filter(([word], n) => !(word.startsWith('under') && said[n + 1]?.[0] === word) && !(word.startsWith('over') && said[n - 1]?.[0] === word))
    .map(([word, within]) => `${word} within ${within}`).join(', ');
}

function loss(perSec, grave) {
  if (!isKnown(perSec)) return UNKNOWN;
  return perSec > 0 ? el('span', { class: `severity ${grave}` }, sign(grave), `${rate(perSec)} a second`) : 'none';
}

/** What is the matter in the chosen namespace and with the host; what is elsewhere, in short. */
export function findings({ findings: all, unseen }, chosen) {
  const sorted = [...all].sort((a, b) => gravity(a) - gravity(b));
  const here = sorted.filter(({ namespace }) => !namespace || namespace === chosen);
  const elsewhere = sorted.filter((finding) => !here.includes(finding));
  return [
    el('h2', { id: 'findings-title' }, 'Findings'),
    here.length ? here.map(finding) : el('p', null, 'None here.'),
    elsewhere.length > 0 && [
      el('h3', { class: 'minor' }, 'In other namespaces'),
      el('ul', { class: 'elsewhere' }, elsewhere.slice(0, MOST_ELSEWHERE).map(({ severity: word, title, namespace }) => el(
        'li', null, severity(word), ' ', choice(namespace), ': ', name(cut(title, 200)),
      ))),
      elsewhere.length > MOST_ELSEWHERE && el('p', { class: 'quiet' }, `and ${elsewhere.length - MOST_ELSEWHERE} more: see the namespaces below.`),
    ],
    unseen.length > 0 && el(
      'details',
      null,
      el('summary', null, `What could not be read (${unseen.length})`),
      el('ul', null, unseen.slice(0, 100).map((text) => el('li', null, name(cut(text, 1000))))),
    ),
  ];
}

function finding({ id, severity: word, confidence, namespace, title, meaning, evidence, remedies }) {
  return el(
    'article',
    { class: `finding ${word}`, 'data-key': `${id} in ${namespace ?? ''}` },
    el('h3', null, severity(word), ' ', name(cut(title, 300))),
    el('p', { class: 'quiet' }, name(id), `, ${confidence}, `, namespace ? ['in ', named(namespace)] : 'of the whole host'),
    meaning && el('p', null, name(cut(meaning, 2000))),
    evidence.length > 0 && el('ul', { class: 'evidence' }, evidence.map(({ text }) => el('li', null, name(cut(text, 1000))))),
    remedies.length > 0 && [el('h4', null, 'What helps'), el('ol', null, remedies.map(remedy))],
  );
}

const remedy = ({ action, command }) => el(
  'li',
  null,
  name(cut(action, 1000)),
  command && el('div', { class: 'command' },
    el('code', { tabindex: 0 }, name(command)),
    el('button', { type: 'button', 'data-copy': true }, 'Copy')),
);

/** What the table holds: by state, by service, by source. */
export function holds(ns) {
  if (!ns?.states.length && !ns?.services.length && !ns?.sources.length) {
    return el('div', null, el('h2', null, 'What the table holds'), el('p', null, 'Not known: its entries were not read.'));
  }
  const entries = (range) => range && quiet(`${interval(range, count)} entries`);
  return [
    held('States', ns.states, ({ protocol, state }) => [name(protocol), ' ', name(state)], (item) => entries(item.entries)),
    held('Top services', ns.services, ({ service }) => name(cut(service, 200))),
    held('Top sources', ns.sources, ({ source }) => name(cut(source, 200))),
  ];
}

function held(title, items, label, more = () => null) {
  return el(
    'div',
    null,
    el('h2', null, title, el('small', null, 'share of the entries')),
    items.length ? el('ul', { class: 'bars' }, items.slice(0, 40).map((item) => el(
      'li',
      null,
      el('span', { class: 'label' }, label(item)),
      el('span', { class: 'share' }, percent(item.share?.value), quiet(item.share ? ` (${interval(item.share, percentFigure)})` : '')),
      bar(item.share),
      more(item),
    ))) : el('p', null, 'Not known.'),
  );
}

/** The namespaces in `order` of which the name holds `filter`. */
export function namespaces(status, order, filter, chosen, reachable) {
  const worst = new Map();
  for (const { namespace, severity: word } of [...status.findings].sort((a, b) => gravity(b) - gravity(a))) {
    if (namespace) worst.set(namespace, { word, n: (worst.get(namespace)?.n ?? 0) + 1 });
  }
  const wanted = order.filter(({ namespace }) => namespace.toLowerCase().includes(filter.toLowerCase()));
  const rows = wanted.slice(0, MOST_ROWS);
  // One stop for Tab, the arrows move from there: hundreds of rows must not be hundreds of stops.
  const stop = [reachable, chosen].find((key) => rows.some(({ namespace }) => namespace === key)) ?? rows[0]?.namespace;
  const shown = wanted.length > rows.length ? `the fullest ${rows.length} of ${count(wanted.length)}; filter for more`
    : wanted.length < order.length ? `${wanted.length} of ${order.length}` : `${order.length} in all`;
  return { shown, table: rows.length ? namespaceTable(rows, worst, chosen, stop) : el('p', null, order.length ? 'No name has that in it.' : 'None could be read.') };
}

const COLUMNS = [
  ['Used', 'n', ({ utilization }) => percent(utilization)],
  ['', 'wide b', ({ utilization }) => bar({ value: utilization })],
  ['Entries', 'n mid', ({ entries }) => count(entries)],
  ['Capacity', 'n wide', ({ capacity }) => count(capacity)],
  ['New a second', 'n wide', ({ new_entries_per_sec: churn }) => rate(churn?.value)],
  ['Lost a second', 'n wide', ({ lost_per_sec: lost }) => rate(lost)],
  ['Full in', 'n wide', fullIn],
  ['Findings', '', (_, found) => (found ? [severity(found.word), found.n > 1 && ` and ${found.n - 1} more`] : '–')],
];

function fullIn({ forecast, utilization }) {
  if (isFull({ forecast, utilization })) return 'now';
  if (!forecast) return UNKNOWN;
  return isKnown(forecast.full_in_secs?.value) ? duration(forecast.full_in_secs.value) : '–';
}

const namespaceTable = (rows, worst, chosen, stop) => el('div', { class: 'scroll' }, el(
  'table',
  null,
  el('thead', null, el('tr', null, el('th', { scope: 'col' }, 'Namespace'), COLUMNS.map(([title, kind]) => (
    title ? el('th', { scope: 'col', class: kind }, title) : el('td', { class: kind }))))),
  el('tbody', null, rows.map((ns) => {
    const isChosen = ns.namespace === chosen;
    return el(
      'tr',
      { 'data-key': ns.namespace, class: isChosen && 'chosen' },
      el('th', { scope: 'row' }, choice(ns.namespace, { 'aria-current': isChosen && 'true', tabindex: ns.namespace === stop ? null : -1 })),
      COLUMNS.map(([, kind, cell]) => el('td', { class: kind }, cell(ns, worst.get(ns.namespace)))),
    );
  })),
));
