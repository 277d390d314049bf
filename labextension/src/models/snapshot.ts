/** The data of a view in a notebook's outputs. */

import type { Snapshot } from '../wire';
import { isMembers } from './topic';

export const MIME_TYPE = 'application/vnd.gpu-workbench.run+json';

/** The newest version of the data that is understood here. */
export const VERSION = 1;

/** The bundle's data, as far as it is what this version draws. */
export function snapshotOf(data: unknown): Snapshot | null {
  if (!isMembers(data) || data.version !== VERSION) {
    return null;
  }
  const { id, run, where, snapshot } = data;
  return typeof id === 'string' &&
    typeof run === 'string' &&
    isMembers(where) &&
    isMembers(snapshot)
    ? (data as unknown as Snapshot)
    : null;
}
