/** Elements in one line each. Text goes in as text, never as markup. */

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
