/** What a cell has of a run's output, and how it is given the rest. */

import type { ICodeCellModel } from '@jupyterlab/cells';
import { isStream } from '@jupyterlab/nbformat';
import type { IOutput } from '@jupyterlab/nbformat';
import { JSONExt } from '@lumino/coreutils';

import { waits } from './phases';
import { MIME_TYPE, snapshotOf } from './snapshot';
import type { Written } from '../tokens';
import type { Snapshot } from '../wire';

/** The run whose view stands in a cell's outputs; the last, where there are several. */
export function runOf(cell: ICodeCellModel): Snapshot | null {
  for (let index = cell.outputs.length - 1; index >= 0; index--) {
    const found = snapshotOf(cell.outputs.get(index).data[MIME_TYPE]);
    if (found !== null) {
      return found;
    }
  }
  return null;
}

/** Whether a run is a cell of a session; else it is a run of its own, or the session itself. */
export function inSession({ run, snapshot }: Snapshot): boolean {
  return run !== '' && (snapshot.kind ?? 'session') === 'session';
}

/** Whether a run is a cell that could still be run elsewhere: in a session, and not begun. */
export function waitsInSession(found: Snapshot): boolean {
  return inSession(found) && waits(found.snapshot.phase ?? 'Queued');
}

/** Characters of each stream that stand in a cell. */
export function charactersOf(cell: ICodeCellModel): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let index = 0; index < cell.outputs.length; index++) {
    const output = cell.outputs.get(index).toJSON();
    if (isStream(output)) {
      const text = typeof output.text === 'string' ? output.text : output.text.join('');
      found[output.name] = (found[output.name] ?? 0) + text.length;
    }
  }
  return found;
}

/** Write a cell's outputs whole: what the run has written, and its view, above it where it stands above. */
export function rewrite(cell: ICodeCellModel, written: Written): void {
  const { outputs } = cell;
  const above = outputs.length > 0 && MIME_TYPE in outputs.get(0).data;
  const wanted = above ? [written.view, ...written.outputs] : [...written.outputs, written.view];
  if (fits(cell, wanted)) {
    wanted.forEach((output, index) => {
      if (!JSONExt.deepEqual(outputs.get(index).toJSON(), output)) {
        outputs.set(index, output);
      }
    });
  } else {
    outputs.fromJSON([...wanted]);
  }
}

/** Whether it has an output of each one's type in its place: those that stay are not drawn anew, and keep their focus. */
function fits({ outputs }: ICodeCellModel, wanted: readonly IOutput[]): boolean {
  return (
    outputs.length === wanted.length &&
    wanted.every(({ output_type }, index) => outputs.get(index).type === output_type)
  );
}
