/** The data of a view in a notebook's outputs. */

import { BUNDLE, PACKAGE } from '../wire';
import type { Snapshot } from '../wire';
import { isMembers } from './topic';

export const MIME_TYPE = 'application/vnd.gpu-workbench.run+json';

/** The bundle's data, as far as it is what this version draws. */
export function snapshotOf(data: unknown): Snapshot | null {
  if (!isMembers(data) || data.version !== BUNDLE) {
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

/** Why a bundle's data cannot be drawn, and what to do. */
export function undrawable(data: unknown): string {
  if (!isMembers(data) || typeof data.version !== 'number' || data.version <= BUNDLE) {
    return 'This view cannot be read';
  }
  const maker = typeof data.package === 'string' ? ` ${data.package.slice(0, 30)}` : '';
  return (
    `A newer gpu-workbench${maker} made this view, and here is ${PACKAGE}. ` +
    "To see all of it, update the Jupyter server's: `pip install --upgrade jupyter-gpu-workbench`"
  );
}
