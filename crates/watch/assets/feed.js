// What the daemon tells: a status at once, then one after each reading; and the history of one namespace.

const SCHEMA = 'plimsoll.watch/1';
const HISTORY_SCHEMA = 'plimsoll.history/1';
const PATIENCE_MS = [1000, 2000, 5000, 10000];

/**
 * Follows the readings for as long as the page is there.
 * `onStatus(status, ageSecs)` after each, `onLink(why)` with null while it is connected and a sentence while it is not.
 * Returns a function that drops the connection and makes a new one, for when nothing comes over it any more.
 */
export function follow({ onStatus, onLink }) {
  let source = null;
  let failures = 0;
  let timer = null;

  async function connect() {
    timer = null;
    source?.close();
    try {
      const { body, ageSecs } = await get('api/status', SCHEMA);
      onStatus(body, ageSecs(body.taken_at_unix_secs));
    } catch (error) {
      retry(error.message);
      return;
    }
    source = new EventSource('api/events');
    source.addEventListener('open', () => {
      failures = 0;
      onLink(null);
    });
    source.addEventListener('status', (event) => {
      const status = parsed(event.data, SCHEMA);
      if (status) onStatus(status, 0);
    });
    source.addEventListener('error', () => retry('the connection to the daemon is lost'));
  }

  // The browser would try again by itself, but not after every error, and it would not fetch what was missed.
  function retry(why) {
    source?.close();
    onLink(why);
    if (timer !== null) return;
    timer = setTimeout(connect, PATIENCE_MS[Math.min(failures, PATIENCE_MS.length - 1)]);
    failures += 1;
  }

  connect();
  return () => retry('nothing comes from the daemon');
}

/** The history of a namespace; rejects with a sentence. */
export const history = async (namespace) => (await get(`api/history?netns=${encodeURIComponent(namespace)}`, HISTORY_SCHEMA)).body;

async function get(path, schema) {
  let answer;
  try {
    answer = await fetch(path, { cache: 'no-store' });
  } catch {
    throw new Error('the daemon cannot be reached');
  }
  if (!answer.ok) throw new Error(`the daemon answered ${path.split('?')[0]} with ${answer.status}`);
  const body = parsed(await answer.text(), schema);
  if (!body) throw new Error(`the daemon speaks another version than this page (which knows ${schema}); reload it`);
  // Ages are told by the daemon's own clock: the reader's may differ.
  const now = Date.parse(answer.headers.get('date') ?? '') || Date.now();
  return { body, ageSecs: (taken) => Math.max(0, now / 1000 - taken) };
}

function parsed(text, schema) {
  try {
    const body = JSON.parse(text);
    return body.schema === schema ? body : null;
  } catch {
    return null;
  }
}
