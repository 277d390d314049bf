/** Who writes a cell's outputs where several people, or several tabs, have one document open. */

import type { INotebookModel } from '@jupyterlab/notebook';

import type { Writers } from './mending';

/** Milliseconds for which the page that runs a cell is given time to write its output. */
const PATIENCE = 5000;

/** The writers of a notebook that is edited together: of all pages that have it open the one with the least number. */
export function writersOf(model: INotebookModel): Writers | undefined {
  const { awareness } = model.sharedModel;
  if (!model.collaborative) {
    return undefined;
  }
  return {
    patience: PATIENCE,
    mine: () => awareness.clientID === Math.min(awareness.clientID, ...awareness.getStates().keys())
  };
}

/** Call `left` whenever a page that had the notebook open is gone. */
export function onLeave(model: INotebookModel, left: () => void): void {
  if (model.collaborative) {
    model.sharedModel.awareness.on('change', ({ removed }: { removed: readonly number[] }) => {
      if (removed.length > 0) {
        left();
      }
    });
  }
}
