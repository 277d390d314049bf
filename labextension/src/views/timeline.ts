/** The GPUs over time, larger and with figures at the cursor; what draws it is loaded when somebody looks. */

import { trans } from '../translation';
import type { Shown } from '../wire';
import { h } from './dom';
import { paletteOf } from './palette';
import type { Plots } from './plots';

/** A place for the charts, empty until it is shown for the first time. */
export class Timeline {
  readonly node = h('div', 'gpuw-Timeline');

  /** Show what is known now. */
  show(shown: Shown): void {
    this._shown = shown;
    if (this._plots !== null) {
      this._plots.show(shown);
    } else if (!this._loading) {
      this._loading = true;
      this.node.replaceChildren(h('div', 'gpuw-Quiet', trans.__('Loading…')));
      void this._load();
    }
  }

  /** Draw it anew in other colours when it is shown next. */
  restyled(): void {
    this._plots?.dispose();
    this._plots = null;
    this._loading = false;
  }

  dispose(): void {
    this._plots?.dispose();
    this._plots = null;
    this._disposed = true;
  }

  private async _load(): Promise<void> {
    try {
      const { Plots } = await import('./plots');
      if (this._disposed || this._shown === null) {
        return;
      }
      this._plots?.dispose();
      this._plots = new Plots(paletteOf(this.node));
      this.node.replaceChildren(this._plots.node);
      this._plots.show(this._shown);
    } catch {
      this._loading = false; // the next state tries again
      this.node.replaceChildren(h('div', 'gpuw-Note', trans.__('The charts could not be loaded')));
    }
  }

  private _shown: Shown | null = null;
  private _plots: Plots | null = null;
  private _loading = false;
  private _disposed = false;
}
