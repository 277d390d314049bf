/** What phases mean. */

import type { Phase } from '../wire';

/** Whether nothing follows. */
export function ended(phase: Phase): boolean {
  return ['Succeeded', 'Failed', 'Stopped', 'Lost'].includes(phase);
}
