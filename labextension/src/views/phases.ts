/** How each phase is marked: a colour and a mark of its own, so that colour is never the only sign. */

import type { Phase } from '../wire';

type State = 'wait' | 'run' | 'done' | 'fail' | 'quiet';

const STATES: Readonly<Record<Phase, readonly [State, string]>> = {
  Queued: ['wait', '○'],
  Pending: ['wait', '○'],
  Starting: ['wait', '◐'],
  Running: ['run', '●'],
  Stopping: ['wait', '◑'],
  Succeeded: ['done', '✓'],
  Failed: ['fail', '■'],
  Stopped: ['quiet', '□'],
  Lost: ['fail', '▲']
};

/** The name of its colour. */
export function stateOf(phase: Phase): State {
  return STATES[phase][0];
}

/** Its mark, for eyes only: the word stands beside it. */
export function mark(phase: Phase): HTMLElement {
  const node = document.createElement('span');
  node.className = 'gpuw-Mark';
  node.setAttribute('aria-hidden', 'true');
  node.textContent = STATES[phase][1];
  return node;
}
