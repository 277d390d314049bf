/** How a run is opened from anywhere: by a command, so that whoever offers it needs not know what opens. */

import type { JupyterFrontEnd } from '@jupyterlab/application';

/** Opens a run with its log: `{workload, run?, name?, rank?}`. */
export const OPEN_RUN = 'gpu-workbench:open-run';

/**
 * Opens a run with its log.
 *
 * @param run Which run; empty for all of the workload.
 * @param name What people call it; empty for its id.
 * @param rank Whose log, where it has several; that of rank 0 without.
 */
export type Open = (workload: string, run: string, name: string, rank?: number) => void;

/** What opens runs by the command. */
export function opener(commands: JupyterFrontEnd['commands']): Open {
  return (workload, run, name, rank = 0) => {
    void commands.execute(OPEN_RUN, { workload, run, name, rank });
  };
}
