/** The line that shows a run again in a notebook. */

import type { Row } from '../wire';
import { isSession } from './runlist';

/**
 * Of a session in which a cell runs, that run; else the session, which is the notebook's then, too.
 *
 * The backend is said: the notebook's own may be another.
 */
export function attachLine(row: Row): string {
  const busy = isSession(row) ? row.runs?.find(run => run.phase === 'Running') : undefined;
  return `%gpu attach ${busy?.id ?? row.id} --backend ${row.backend}`;
}
