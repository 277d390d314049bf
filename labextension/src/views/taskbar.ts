/** The tasks of a computation as one bar: those that are done, run and have failed; the ground is what is left. */

import { trans } from '../translation';
import type { DaskCounts } from '../wire';
import { legend, total } from './daskwords';
import { h, words } from './dom';
import { count } from './format';

/** The bar, refreshed in place. */
export class TaskBar {
  constructor() {
    this.node.setAttribute('role', 'img');
    this.node.append(this._done, this._running, this._failed, this._left);
  }

  readonly node = h('div', 'gpuw-Tasks');

  show(counts: DaskCounts): void {
    const all = total(counts);
    const done = trans.__('%1 of %2 tasks done', count(counts.done ?? 0), count(all));
    const said = [done, ...legend(counts).map(({ figure }) => figure)];
    words(this.node, 'aria-label', said.join(', '));
    const parts: readonly (readonly [HTMLElement, number])[] = [
      [this._done, counts.done ?? 0],
      [this._running, counts.running ?? 0],
      [this._failed, counts.failed ?? 0]
    ];
    for (const [part, tasks] of parts) {
      words(part, 'style', `flex-grow: ${tasks}; display: ${tasks > 0 ? 'block' : 'none'}`);
    }
    const left = all - parts.reduce((sum, [, tasks]) => sum + tasks, 0);
    words(this._left, 'style', `flex-grow: ${left}`);
  }

  private readonly _done = h('span', 'gpuw-mod-done');
  private readonly _running = h('span', 'gpuw-mod-run');
  private readonly _failed = h('span', 'gpuw-mod-fail');
  private readonly _left = h('span', '');
}
