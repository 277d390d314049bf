/** A cell that waits is run again as a run of its own, which needs no notebook. */

import type { ISessionContextDialogs } from '@jupyterlab/apputils';
import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

import { waitsInSession } from '../models/cell';
import { first } from '../models/first';
import { detachedSource } from '../models/magic';
import { waits } from '../models/phases';
import type { IRuns } from '../tokens';
import { trans } from '../translation';
import type { Row, Snapshot } from '../wire';
import { prepare, Refused, run as runCells } from './notebook';
import { cellShowing } from './place';
import type { Showing } from './place';

/** Milliseconds that a cell has to stop waiting. */
const PATIENCE = 30_000;

/** States of a kernel that runs nothing more of what it was asked. */
const GONE: readonly string[] = ['restarting', 'autorestarting', 'terminating', 'dead'];

/** Which run, as the view below its cell tells it. */
export interface Waiting {
  readonly workload: string;
  readonly run: string;
}

/**
 * Let a cell that waits run without its notebook: it is given `--detach`, and run again.
 *
 * The session that it waited for is given up once that is sealed, so that a cell that cannot be sealed has not lost its
 * place. One that runs already, or that another notebook asked for, stays.
 *
 * @throws Refused: it cannot be; before the cell is interrupted nothing has been changed.
 */
export async function detach(
  notebooks: INotebookTracker,
  runs: IRuns,
  { workload, run }: Waiting,
  dialogs: ISessionContextDialogs | null
): Promise<void> {
  const place = cellShowing(notebooks, workload, run);
  if (place === null) {
    throw new Refused(trans.__('The cell of this run is in no notebook that is open'));
  }
  const { panel, cell, model } = place;
  const found = detachedSource(model.sharedModel.getSource());
  if (found.kind === 'refused') {
    throw new Refused(found.why);
  }
  if (model.getMetadata('editable') === false) {
    throw new Refused(trans.__('This cell cannot be edited, so it cannot be given %1', '--detach'));
  }
  if (runs.connection.state !== 'open') {
    throw new Refused(trans.__('The server does not answer'));
  }
  const [now, rows] = await Promise.all([
    first<Snapshot>(listener => runs.follow(workload, run, listener)),
    first<ReadonlyMap<string, Row>>(listener => runs.followAll(listener))
  ]);
  if (now.kind !== 'value' || !waitsInSession(now.value)) {
    throw new Refused(trans.__('This cell waits no longer, so it is left as it is'));
  }
  const session = rows.kind === 'value' ? rows.value.get(workload) : undefined;
  // also where it starts in the meantime: it would hold its GPUs for nobody
  const forgone =
    session !== undefined &&
    waits(session.phase ?? 'Queued') &&
    session.path === panel.context.localPath;
  const before = await stopWaiting(place, dialogs);
  model.sharedModel.setSource(found.source);
  if ((await runCells(panel, [...before, cell], dialogs)) && forgone) {
    await runs.stop(workload);
  }
}

/** Interrupt the cell, where it still has the kernel, and wait until the kernel takes another; cells to run first. */
async function stopWaiting(
  place: Showing,
  dialogs: ISessionContextDialogs | null
): Promise<readonly Cell[]> {
  const { panel } = place;
  const kernel = panel.sessionContext.session?.kernel ?? null;
  if (kernel === null || kernel.status === 'idle') {
    return prepare(panel, dialogs);
  }
  if (!has(place)) {
    throw new Refused(
      trans.__('The kernel runs something else: this cell can be detached when that is done')
    );
  }
  await kernel.interrupt();
  await idle(kernel);
  return [];
}

/** Whether it is this cell that has the kernel: of one that was begun before the page was loaded no page knows. */
function has({ panel, cell, model }: Showing): boolean {
  const runs = (one: Cell) => (one.model as ICodeCellModel).executionState === 'running';
  return model.executionCount === null && (runs(cell) || !panel.content.widgets.some(runs));
}

/** Wait until a kernel is done. */
function idle(kernel: Kernel.IKernelConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (why: string) => {
      window.clearTimeout(timer);
      kernel.statusChanged.disconnect(look);
      if (why === '') {
        resolve();
      } else {
        reject(new Refused(why));
      }
    };
    const look = () => {
      if (kernel.status === 'idle') {
        done('');
      } else if (GONE.includes(kernel.status)) {
        done(trans.__('The kernel has ended, so this cell is left as it is'));
      }
    };
    const timer = window.setTimeout(() => {
      done(trans.__('This cell was interrupted, and does not end: it is left as it is'));
    }, PATIENCE);
    kernel.statusChanged.connect(look);
    look();
  });
}
