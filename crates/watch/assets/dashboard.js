// The page: what was read, what the reader has chosen, and the two brought together.

import { update } from './dom.js';
import { follow, history as fetchHistory } from './feed.js';
import { append, charts, scene, table } from './occupancy.js';
import { announcement, findings, gravity, holds, linkTo, namespaces, overview, verdict } from './parts.js';
import { cut, duration, percent, time, visible } from './words.js';

// A reading is stale when two more should have come since.
const STALE_INTERVALS = 3;
// While the reader is at the table its rows stay where they are.
const HOLD_MS = 15000;

const at = (id) => document.getElementById(id);

const read = { status: null, takenHere: 0, history: null, historyOf: null, historyHere: 0, historyError: null, lost: null, connected: false };
const reader = { chosen: null, range: 'hour', magnified: false, filter: '', pointer: null, reachable: null, heldUntil: 0 };
let order = [];
let staleSince = null;
let drawnWidth = 0;

const reconnect = follow({
  onStatus(status, ageSecs) {
    // The daemon may repeat a reading to whoever connects: that makes it no younger.
    if (read.status?.taken_at_unix_secs !== status.taken_at_unix_secs) read.takenHere = Date.now() - ageSecs * 1000;
    read.status = status;
    const ns = chosenNamespace();
    at('link').dataset.taken = status.taken_at_unix_secs;
    if (read.history && ns) append(read.history, ns, status.taken_at_unix_secs);
    if (ns && (read.historyOf !== reader.chosen || Date.now() - read.historyHere > (read.history?.coarse.step_secs ?? 30) * 1000)) loadHistory();
    age();
    draw();
  },
  onLink(why) {
    read.connected = why === null;
    read.lost = why;
    age();
  },
});

/** The one asked for in the address, else the one with the gravest finding, else the daemon's own. */
function chosenNamespace() {
  const { namespaces: all, findings: found } = read.status;
  reader.chosen ??= asked()
    ?? [...found].filter(({ namespace, severity }) => namespace && severity !== 'info').sort((a, b) => gravity(a) - gravity(b))[0]?.namespace
    ?? all.find(({ relation }) => relation === 'own')?.namespace ?? all[0]?.namespace ?? null;
  return all.find(({ namespace }) => namespace === reader.chosen) ?? null;
}

function asked() {
  try {
    return location.hash.startsWith('#netns=') ? decodeURIComponent(location.hash.slice('#netns='.length)) : null;
  } catch {
    return null;
  }
}

async function loadHistory() {
  const namespace = reader.chosen;
  if (namespace === null) return;
  if (read.historyOf !== namespace) read.history = null;
  read.historyOf = namespace;
  read.historyHere = Date.now();
  try {
    const loaded = await fetchHistory(namespace);
    if (namespace !== reader.chosen) return;
    read.history = loaded;
    read.historyError = null;
    const ns = chosenNamespace();
    if (ns) append(loaded, ns, read.status.taken_at_unix_secs);
  } catch (error) {
    if (namespace === reader.chosen) read.historyError = error.message;
  }
  draw();
}

function draw() {
  const { status } = read;
  if (!status) return;
  const ns = chosenNamespace();
  document.title = visible(cut(`${ns ? percent(ns.utilization) : 'gone'} · ${status.verdict} · ${status.host} – Plimsoll`, 120));
  at('host').textContent = visible(cut(`${status.host}, Linux ${status.kernel}`, 200));
  at('about').textContent = visible(cut(`Plimsoll ${status.version}. A reading every ${duration(status.interval_secs)}. Shares and rates in parentheses are intervals at 95 %.`, 300));
  update(at('verdict'), verdict(status, staleWords()));
  update(at('announced'), announcement(status, staleWords()));
  update(at('overview'), overview(reader.chosen ?? status.host, ns));
  update(at('findings'), findings(status, reader.chosen));
  update(at('holds'), holds(ns));
  document.body.classList.toggle('calm', !status.findings.length);
  drawHistory();
  drawNamespaces();
}

function drawHistory() {
  if (!read.status) return;
  const ns = chosenNamespace();
  if (!read.history || read.historyOf !== reader.chosen) {
    update(at('charts'), !ns ? 'No history.' : read.historyError ? `The history is not known: ${read.historyError}.` : 'Reading the history …');
    update(at('readings').lastElementChild);
    return;
  }
  const drawn = scene(read.history, ns, read.status.taken_at_unix_secs, reader.range);
  drawnWidth = at('charts').clientWidth;
  update(at('charts'), charts(drawn, Math.max(240, drawnWidth), reader.magnified, reader.pointer));
  update(at('readings').lastElementChild, at('readings').open && drawn.past.length ? table(drawn) : '');
}

function drawNamespaces() {
  const all = read.status.namespaces;
  const fullest = [...all].sort((a, b) => (b.utilization ?? -1) - (a.utilization ?? -1) || b.entries - a.entries);
  const place = new Map(order.map(({ namespace }, n) => [namespace, n]));
  const held = ({ namespace }) => place.get(namespace) ?? Number.MAX_VALUE;
  order = Date.now() < reader.heldUntil ? fullest.sort((a, b) => held(a) - held(b)) : fullest;
  const { shown, table: rows } = namespaces(read.status, order, reader.filter, reader.chosen, reader.reachable);
  update(at('rows'), rows);
  at('shown').textContent = shown;
}

// What is told of the connection, each second.
function age() {
  const link = at('link');
  if (!read.status) {
    if (read.lost) link.textContent = `Not connected: ${read.lost}. Trying again.`;
    return;
  }
  const secs = Math.max(0, (Date.now() - read.takenHere) / 1000);
  const ago = `last reading ${secs < 1.5 ? 'just now' : `${duration(Math.floor(secs))} ago`}`;
  const stale = secs > STALE_INTERVALS * read.status.interval_secs;
  link.className = stale ? 'stale' : read.connected ? 'live' : 'lost';
  link.textContent = stale ? `Stale: ${ago}` : read.connected ? `Live: ${ago}` : `Reconnecting: ${ago}`;
  if (stale === (staleSince !== null)) return;
  staleSince = stale ? read.status.taken_at_unix_secs : null;
  document.body.classList.toggle('stale', stale);
  if (stale && read.connected) reconnect();
  draw();
}

const staleWords = () => (staleSince === null ? null
  : `No reading since ${time(staleSince, 'second')}: what is shown is old${read.connected ? '' : `; ${read.lost}`}. Trying again.`);

function choose(namespace) {
  reader.chosen = namespace;
  reader.reachable = namespace;
  reader.pointer = null;
  if (chosenNamespace()) loadHistory();
  draw();
  at('chosen').focus({ preventScroll: true });
  at('overview').scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth', block: 'start' });
}

addEventListener('hashchange', () => {
  const namespace = asked();
  if (namespace !== null && read.status) choose(namespace);
});

// The address keeps the chosen namespace, also where a link only leads to a part of the page.
addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link?.hash === location.hash) choose(reader.chosen);
  if (!link || link.hash.startsWith('#netns=')) return;
  event.preventDefault();
  at(link.hash.slice(1)).focus();
});

at('rows').addEventListener('click', (event) => {
  if (!event.target.closest('a')) event.target.closest('tbody tr')?.querySelector('a').click();
});

at('rows').addEventListener('pointermove', () => { reader.heldUntil = Date.now() + HOLD_MS; });

at('rows').addEventListener('keydown', (event) => {
  const links = [...at('rows').querySelectorAll('a')];
  const here = links.indexOf(document.activeElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
  reader.heldUntil = Date.now() + HOLD_MS;
  if (here === -1 || to === undefined) return;
  event.preventDefault();
  const link = links[Math.min(Math.max(to, 0), links.length - 1)];
  for (const other of links) other.tabIndex = other === link ? 0 : -1;
  link.focus();
});

at('rows').addEventListener('focusin', (event) => {
  const namespace = order.find((ns) => linkTo(ns.namespace) === event.target.getAttribute('href'))?.namespace;
  if (namespace !== undefined) reader.reachable = namespace;
});

at('filter').addEventListener('input', (event) => {
  reader.filter = event.target.value.trim();
  if (read.status) drawNamespaces();
});

at('range').addEventListener('change', (event) => {
  reader.range = event.target.value;
  reader.pointer = null;
  drawHistory();
});

at('magnified').addEventListener('change', (event) => {
  reader.magnified = event.target.checked;
  drawHistory();
});

at('readings').addEventListener('toggle', drawHistory);
new ResizeObserver(() => {
  const width = at('charts').clientWidth;
  if (width !== drawnWidth) requestAnimationFrame(drawHistory);
}).observe(at('charts'));

at('charts').addEventListener('pointermove', (event) => {
  reader.pointer = event.clientX - at('charts').getBoundingClientRect().left;
  drawHistory();
});

for (const leaving of ['pointerleave', 'blur']) {
  at('charts').addEventListener(leaving, () => {
    reader.pointer = null;
    drawHistory();
  });
}

at('charts').addEventListener('keydown', (event) => {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const width = at('charts').clientWidth;
  reader.pointer = Math.min(Math.max((reader.pointer ?? width / 2) + way * width / 60, 0), width);
  drawHistory();
});

at('findings').addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const code = button.previousElementSibling;
  getSelection().selectAllChildren(code);
  try {
    // Only a page from this machine or over TLS may write to the clipboard; elsewhere it is marked, ready to be copied.
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Marked';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
});

setInterval(age, 1000);
