/** Output that comes back after a page was loaded again, a tab was closed or a kernel died. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ICellModel } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';

import { goesOn, Mending } from '../models/mending';
import { onLeave, writersOf } from '../models/writers';
import { IRuns } from '../tokens';

/** States of a kernel in which it publishes nothing more of what it had begun. */
const GONE: readonly string[] = ['restarting', 'autorestarting', 'dead'];

export const outputs: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:outputs',
  description: 'Gives cells the output of their runs that they missed.',
  autoStart: true,
  requires: [INotebookTracker, IRuns],
  activate: (_app: JupyterFrontEnd, tracker: INotebookTracker, runs: IRuns) => {
    const mendings = new Map<ICellModel, Mending>();
    const leave = (cell: ICellModel) => {
      mendings.get(cell)?.dispose();
      mendings.delete(cell);
    };
    // what is started from this page is written by its kernel
    NotebookActions.executionScheduled.connect((_, { cell }) => {
      leave(cell.model);
    });
    tracker.widgetAdded.connect((_, panel) => {
      const mend = () => {
        const { model } = panel.content;
        for (const cell of [...(model?.cells ?? [])].filter(goesOn)) {
          if (mendings.get(cell)?.isDisposed ?? true) {
            mendings.set(
              cell,
              new Mending(runs, cell, model === null ? undefined : writersOf(model))
            );
          }
        }
      };
      void panel.context.ready.then(() => {
        mend();
        onLeave(panel.context.model, mend);
      });
      panel.sessionContext.kernelChanged.connect(mend);
      panel.sessionContext.statusChanged.connect((_, status) => {
        if (GONE.includes(status)) {
          mend();
        }
      });
      panel.disposed.connect(() => {
        [...(panel.content.model?.cells ?? [])].forEach(leave);
      });
    });
  }
};
