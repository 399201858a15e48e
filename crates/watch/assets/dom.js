// Elements as values: views make new ones, and `update` brings the page to them with the fewest changes, so that focus,
// selection, open details and transitions outlive a reading. Strings become text nodes and nothing else.

import { visible } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** A name from outside: its direction of writing is kept from what stands around it. */
export const name = (text, attributes) => el('bdi', attributes, text);

/** Makes `children` the content of `parent`. */
export function update(parent, ...children) {
  const fresh = fill(document.createElement('div'), null, children);
  const focused = document.activeElement;
  align(parent, fresh);
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === true) node.setAttribute(key, '');
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, visible(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : visible(child));
  }
  node.normalize();
  return node;
}

function align(parent, fresh) {
  const keyed = new Map();
  for (const node of parent.children) if (node.dataset.key !== undefined) keyed.set(node.dataset.key, node);
  let at = parent.firstChild;
  for (const node of [...fresh.childNodes]) {
    const key = node.dataset?.key;
    const mate = key === undefined ? at : keyed.get(key);
    if (!mate || mate.nodeName !== node.nodeName || mate.dataset?.key !== key) {
      parent.insertBefore(node, at);
      continue;
    }
    keyed.delete(key);
    if (mate === at) at = at.nextSibling;
    else parent.insertBefore(mate, at);
    become(mate, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function become(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name: key, value } of fresh.attributes) if (old.getAttribute(key) !== value) old.setAttribute(key, value);
  // Whether details are open is the reader's to say.
  for (const { name: key } of [...old.attributes]) if (!fresh.hasAttribute(key) && key !== 'open') old.removeAttribute(key);
  align(old, fresh);
}
