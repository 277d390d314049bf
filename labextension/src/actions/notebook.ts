/** What is done in a notebook that is open: cells are added to it, and run. */

import type { ISessionContextDialogs } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import { NotebookActions } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';

import { load, readiness } from '../models/kernel';
import { gpuSource, LOAD_LINE, loads } from '../models/magic';
import { trans } from '../translation';

/** What cannot be done, in one sentence for whoever asked. */
export class Refused extends Error {}

/**
 * Run the active cell on GPUs: with `%%gpu` above it, in a kernel that knows it.
 *
 * @throws Refused: it is none that could; nothing has been changed then.
 */
export async function runOnGpu(
  panel: NotebookPanel,
  dialogs: ISessionContextDialogs | null
): Promise<void> {
  const { activeCell } = panel.content;
  if (activeCell?.model.type !== 'code') {
    throw new Refused(trans.__('Choose a code cell to run on GPUs'));
  }
  const { sharedModel } = activeCell.model;
  const found = gpuSource(sharedModel.getSource());
  if (found.kind === 'refused') {
    throw new Refused(found.why);
  }
  if (
    activeCell.model.getMetadata('editable') === false &&
    found.source !== sharedModel.getSource()
  ) {
    throw new Refused(trans.__('This cell cannot be edited, so it cannot be given %1', '%%gpu'));
  }
  const before = await prepare(panel, dialogs);
  if (found.source !== sharedModel.getSource()) {
    sharedModel.setSource(found.source);
  }
  await run(panel, [...before, activeCell], dialogs);
}

/**
 * Show a run again, in a new cell below the active one.
 *
 * @param line What is written there.
 */
export async function runBelow(
  panel: NotebookPanel,
  line: string,
  dialogs: ISessionContextDialogs | null
): Promise<void> {
  const before = await prepare(panel, dialogs);
  const { content } = panel;
  const place = content.activeCellIndex + 1;
  const made = insert(panel, place, line);
  content.activeCellIndex = place;
  content.deselectAll();
  void content.scrollToCell(made);
  await run(panel, [...before, made], dialogs);
}

/**
 * See to it that the kernel knows the magics, and that the notebook says how it comes to.
 *
 * A notebook without a line that loads them is given one, above its first code cell: so it runs from top to bottom
 * tomorrow, too, and for those who have no such button. A kernel that has not run that line is told silently.
 *
 * @returns Cells to run first.
 */
export async function prepare(
  panel: NotebookPanel,
  dialogs: ISessionContextDialogs | null
): Promise<readonly Cell[]> {
  const { sessionContext } = panel;
  await sessionContext.ready;
  if (sessionContext.hasNoKernel && dialogs !== null) {
    await dialogs.selectKernel(sessionContext);
  }
  const kernel = sessionContext.session?.kernel ?? null;
  if (kernel === null) {
    throw new Refused(trans.__('This notebook has no kernel'));
  }
  const cells = [...(panel.content.model?.cells ?? [])];
  const says = loads(cells.map(cell => cell.sharedModel.getSource()));
  // a busy kernel would answer when it is done: the cell waits its turn there, as others do
  const found = kernel.status === 'busy' ? null : await readiness(kernel);
  if (found === 'no-python') {
    throw new Refused(
      trans.__(
        '%1 needs a Python kernel; this one is %2',
        '%%gpu',
        sessionContext.kernelDisplayName
      )
    );
  }
  if (found === 'missing') {
    throw new Refused(
      trans.__(
        'gpu_workbench is not installed where this kernel runs: %1',
        '%pip install jupyter-gpu-workbench'
      )
    );
  }
  if (found === 'loaded') {
    return [];
  }
  if (says) {
    load(kernel).catch(() => undefined); // it is gone: the cell will say so
    return [];
  }
  const first = cells.findIndex(cell => cell.type === 'code');
  return [insert(panel, Math.max(0, first), LOAD_LINE)];
}

/** Put a code cell into a notebook; the active cell stays the active one. */
function insert(panel: NotebookPanel, place: number, source: string): Cell {
  const { content } = panel;
  const active = content.activeCell;
  content.model?.sharedModel.insertCell(place, {
    cell_type: 'code',
    source,
    metadata: { trusted: true }
  });
  content.activeCellIndex = content.widgets.findIndex(cell => cell === active);
  const made = content.widgets[place];
  if (made === undefined) {
    throw new Refused(trans.__('This notebook cannot be edited'));
  }
  return made;
}

/** Run cells; whether all of them came to a good end. */
export function run(
  { content, sessionContext }: NotebookPanel,
  cells: readonly Cell[],
  dialogs: ISessionContextDialogs | null
): Promise<boolean> {
  return NotebookActions.runCells(content, cells, sessionContext, dialogs ?? undefined);
}
