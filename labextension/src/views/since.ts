/** The line at the panel's head for one who comes back. */

import { inWords } from '../models/since';
import type { Since } from '../models/since';
import { trans } from '../translation';
import { button, h } from './dom';

/** Says what has ended; a click shows those alone, and another shows all again. */
export class SinceLine {
  /** @param changed Called with the workloads to show alone; `null` for all. */
  constructor(changed: (only: ReadonlySet<string> | null) => void) {
    this._changed = changed;
    this._text = button('', trans.__('Show these alone'), () => {
      this._narrow(this._text.getAttribute('aria-pressed') !== 'true');
    });
    this._text.className = 'gpuw-SinceText';
    const dismiss = button('×', trans.__('Dismiss'), () => {
      this.show(null);
    });
    dismiss.setAttribute('aria-label', trans.__('Dismiss'));
    dismiss.className = 'gpuw-SinceDismiss';
    this.node.append(this._text, dismiss);
    this.node.setAttribute('role', 'status');
    this.node.hidden = true;
  }

  readonly node = h('div', 'gpuw-Since');

  /** Say what has ended since; nothing where nothing has. */
  show(found: Since | null): void {
    this._found = found;
    this._text.textContent = found === null ? '' : inWords(found);
    this.node.hidden = this._text.textContent === '';
    this._narrow(false);
  }

  private _narrow(narrow: boolean): void {
    this._text.setAttribute('aria-pressed', String(narrow));
    this._changed(narrow ? (this._found?.workloads ?? null) : null);
  }

  private readonly _changed: (only: ReadonlySet<string> | null) => void;
  private readonly _text: HTMLButtonElement;
  private _found: Since | null = null;
}
