/** What is small until asked: opened in place, and left open while what it shows goes on. */

import { h, hide, words } from './dom';

/** One part that can be opened. */
export interface Fold {
  readonly key: string;
  readonly title: string;
  readonly node: HTMLElement;
}

let folded = 0;

/** The buttons in a card's foot, and below them what they open. */
export class Folds {
  constructor(folds: readonly Fold[]) {
    for (const fold of folds) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'gpuw-Fold';
      const panel = h('div', 'gpuw-FoldPanel', fold.node);
      panel.id = `gpuw-fold-${(folded += 1)}`;
      hide(panel, true);
      panel.tabIndex = 0; // it may scroll, and then by keyboard, too
      panel.setAttribute('role', 'group');
      panel.setAttribute('aria-label', fold.title);
      button.setAttribute('aria-controls', panel.id);
      button.append(h('span', 'gpuw-Turn'), fold.title);
      button.addEventListener('click', () => {
        this._touched.add(fold.key);
        this.open(fold.key, !this.isOpen(fold.key));
        this.opened?.();
      });
      this._parts.set(fold.key, { button, panel });
      this.buttons.append(button);
      this.panels.append(panel);
    }
    this.offer(new Set());
  }

  readonly buttons = h('div', 'gpuw-Folds');
  readonly panels = h('div', '');

  /** Called when somebody has opened or closed one. */
  opened: (() => void) | null = null;

  /** Which there are now; the others keep their state out of sight. */
  offer(keys: ReadonlySet<string>): void {
    for (const [key, { button }] of this._parts) {
      hide(button, !keys.has(key));
    }
    this._draw();
    hide(this.buttons, keys.size === 0);
  }

  /** Whether that one is open, and there. */
  isOpen(key: string): boolean {
    return this._open.has(key) && this._parts.get(key)?.button.hidden === false;
  }

  /** Open it or close it. */
  open(key: string, is: boolean): void {
    if (is) {
      this._open.add(key);
    } else {
      this._open.delete(key);
    }
    this._draw();
  }

  /** Open it, unless somebody has decided on that already. */
  suggest(key: string): void {
    if (!this._touched.has(key)) {
      this._touched.add(key);
      this.open(key, true);
    }
  }

  private _draw(): void {
    for (const [key, { button, panel }] of this._parts) {
      words(button, 'aria-expanded', String(this._open.has(key)));
      hide(panel, !this.isOpen(key));
    }
  }

  private readonly _parts = new Map<string, { button: HTMLElement; panel: HTMLElement }>();
  private readonly _open = new Set<string>();
  private readonly _touched = new Set<string>();
}
