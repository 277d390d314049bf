/** Elements in one line each. Text goes in as text, never as markup. */

import { trans } from '../translation';

/** An element with a class and its children; what is empty is left out. */
export function h(
  tag: string,
  className: string,
  ...children: readonly (Node | string | null | undefined)[]
): HTMLElement {
  const node = document.createElement(tag);
  if (className !== '') {
    node.className = className;
  }
  for (const child of children) {
    if (child != null && child !== '') {
      node.append(child);
    }
  }
  return node;
}

/**
 * A sentence with an element in it.
 *
 * @param text The sentence; `%1` is where the element stands, and that is another place in another language.
 */
export function around(text: string, node: Node): readonly (Node | string)[] {
  const [before = '', after = ''] = text.split('%1');
  return [before, node, after];
}

/** A sentence, in which code stands in back quotes. */
export function coded(text: string): readonly (Node | string)[] {
  return text
    .split('`')
    .map((part, place) => (place % 2 === 1 ? h('code', 'gpuw-Code', part) : part));
}

/** Text where it is another than before: what stays is not drawn anew, and a selection in it stays. */
export function say(node: HTMLElement, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** An attribute where it is another than before. */
export function words(node: HTMLElement, name: string, text: string): void {
  if (node.getAttribute(name) !== text) {
    node.setAttribute(name, text);
  }
}

/** Take a node out of sight or back, where it is not so already. */
export function hide(node: HTMLElement, is: boolean): void {
  if (node.hidden !== is) {
    node.hidden = is;
  }
}

const filled = new WeakMap<Node, string>();

/** Children of a node, made anew only where what they show, in a word, is another than before. */
export function refill(
  node: HTMLElement,
  shows: string,
  make: () => readonly (Node | string)[]
): void {
  if (filled.get(node) !== shows) {
    filled.set(node, shows);
    node.replaceChildren(...make().filter(child => child !== ''));
  }
}

/** A button that says what it does. */
export function button(label: string, title: string, act: () => void): HTMLButtonElement {
  const node = document.createElement('button');
  node.type = 'button';
  node.className = 'gpuw-Button';
  node.textContent = label;
  node.title = title;
  node.addEventListener('click', act);
  return node;
}

/** A link that looks like a button: it opens another tab of the browser, which knows nothing of this one. */
export function link(label: string, title: string, address: string): HTMLAnchorElement {
  const node = document.createElement('a');
  node.className = 'gpuw-Button';
  node.textContent = label;
  node.title = title;
  node.href = address;
  node.target = '_blank';
  node.rel = 'noopener';
  return node;
}

/** Put text on the clipboard. Rejects where the browser does not allow it. */
export async function copy(text: string): Promise<void> {
  // only pages from https or this machine have it
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard !== undefined) {
    await clipboard.writeText(text);
    return;
  }
  const node = document.createElement('textarea');
  node.value = text;
  document.body.append(node);
  node.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is nothing else on such pages
  const done = document.execCommand('copy');
  node.remove();
  if (!done) {
    throw new Error(trans.__('The browser does not let it be copied'));
  }
}
