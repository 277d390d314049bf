/** The notebook and the cell that a run came from. */

import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { INotebookTracker } from '@jupyterlab/notebook';

import { runOf } from '../models/cell';
import { trans } from '../translation';
import { Refused } from './notebook';

/** Where a run came from, as its row tells it. */
export interface Place {
  /** Of the workload. */
  readonly id: string;
  /** The notebook as Jupyter's contents API has it; empty where this server does not serve it. */
  readonly path: string;
  /** Name of its file; empty for none. */
  readonly file: string;
  /** The cell's id; empty where it is not known. */
  readonly cell: string;
}

/**
 * Open the notebook that a run came from, at its cell.
 *
 * @throws Refused: there is no such notebook any more, or no such cell in it.
 */
export async function openPlace(documents: IDocumentManager, place: Place): Promise<void> {
  const { path, file } = place;
  if (path === '') {
    throw new Refused(
      file === ''
        ? trans.__('It was not started from a notebook')
        : trans.__('%1 is not among the files of this Jupyter server', file)
    );
  }
  try {
    await documents.services.contents.get(path, { content: false });
  } catch {
    throw new Refused(trans.__('%1 is not there any more: it was moved, renamed or deleted', path));
  }
  const widget = documents.openOrReveal(path);
  if (!(widget instanceof NotebookPanel)) {
    throw new Refused(trans.__('%1 cannot be opened as a notebook', path));
  }
  await widget.revealed;
  await widget.context.ready;
  const index = cellOf(widget, place);
  if (index < 0) {
    throw new Refused(trans.__('Its cell is not in %1 any more', file));
  }
  const { content } = widget;
  content.activeCellIndex = index;
  content.deselectAll();
  const cell = content.widgets[index];
  if (cell !== undefined) {
    await content.scrollToCell(cell, 'start');
  }
}

/** A cell that shows a run. */
export interface Showing {
  readonly panel: NotebookPanel;
  readonly cell: Cell;
  readonly model: ICodeCellModel;
}

/** The cell below which the view of a run stands, in one of the notebooks that are open; `null` where there is none. */
export function cellShowing(
  notebooks: INotebookTracker,
  workload: string,
  run: string
): Showing | null {
  const shows = ({ model }: Cell) => {
    const found = model.type === 'code' ? runOf(model as ICodeCellModel) : null;
    return found?.id === workload && found.run === run;
  };
  const panel = notebooks.find(({ content }) => content.widgets.some(shows));
  const cell = panel?.content.widgets.find(shows);
  return panel === undefined || cell === undefined
    ? null
    : { panel, cell, model: cell.model as ICodeCellModel };
}

/** Index of the cell; by its id, or by the view that stands below it. -1 where there is none. */
function cellOf(panel: NotebookPanel, place: Place): number {
  const cells = [...(panel.content.model?.cells ?? [])];
  const byId = cells.findIndex(cell => cell.id === place.cell);
  if (byId >= 0) {
    return byId;
  }
  const views = cells.map(cell => (cell.type === 'code' ? runOf(cell as ICodeCellModel) : null));
  return views.map(found => found?.id).lastIndexOf(place.id);
}
