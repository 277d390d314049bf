/** The functions of a Dask computation, one a row: how many of their tasks are done. */

import { trans } from '../translation';
import type { DaskGroup } from '../wire';
import { h, refill } from './dom';
import { count } from './format';

/** The list, made anew when a figure in it changes. */
export class Functions {
  constructor() {
    this.node.setAttribute('aria-label', trans.__('Functions'));
  }

  readonly node = h('ul', 'gpuw-Functions');

  show(groups: readonly DaskGroup[]): void {
    refill(this.node, JSON.stringify(groups), () => groups.map(rowOf));
  }
}

function rowOf({ name, done, total }: DaskGroup): HTMLElement {
  const bar = h('span', '');
  bar.style.transform = `scaleX(${(total > 0 ? Math.min(1, done / total) : 0).toFixed(3)})`;
  const room = h('div', 'gpuw-Memory', bar);
  room.dataset.state = 'run';
  const figure = h('span', 'gpuw-Number', `${count(done)} / ${count(total)}`);
  return h('li', '', h('code', 'gpuw-Code', name), room, figure);
}
