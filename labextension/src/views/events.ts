/** What happened to a run, and when. */

import { trans } from '../translation';
import type { Snapshot } from '../wire';
import { h, refill } from './dom';
import { seconds } from './format';

/** A list of moments. */
export class Events {
  readonly node = h('ol', 'gpuw-Events');

  show({ snapshot, where }: Snapshot): void {
    const rows = (snapshot.moments ?? []).map(({ at, what }) => [seconds(at), what] as const);
    const left = where.hidden ?? [];
    refill(this.node, JSON.stringify([rows, left]), () => [
      ...rows.map(([at, what]) => h('li', '', h('span', 'gpuw-Quiet', at), h('span', '', what))),
      left.length === 0
        ? ''
        : h(
            'li',
            'gpuw-Quiet',
            h('span', ''),
            h('span', '', trans.__('not kept here: %1', left.join(', ')))
          )
    ]);
  }
}
