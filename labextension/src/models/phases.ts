/** What phases mean. */

import type { Phase } from '../wire';

/** Whether it has not begun. */
export function waits(phase: Phase): boolean {
  return ['Queued', 'Pending', 'Starting'].includes(phase);
}

/** Whether nothing follows. */
export function ended(phase: Phase): boolean {
  return ['Succeeded', 'Failed', 'Stopped', 'Lost'].includes(phase);
}
