/** What a cell has of a run's output, and how it is given the rest. */

import type { ICodeCellModel } from '@jupyterlab/cells';
import { isStream } from '@jupyterlab/nbformat';
import type { IOutput, IStream } from '@jupyterlab/nbformat';
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

/** Characters of each stream that stand in a cell, as the document has it: a page may draw it otherwise for a while. */
export function charactersOf(cell: ICodeCellModel): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const output of cell.sharedModel.getOutputs()) {
    if (isStream(output)) {
      found[output.name] = (found[output.name] ?? 0) + textOf(output).length;
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

/**
 * The same where several pages have the document, in changes that all of them make in the same way: JupyterLab takes what
 * is new for the last of a cell's outputs, wherever it stands. So its view stands above, where it need not be moved, and
 * is written anew only with a new phase: each page keeps it up to date for itself.
 */
export function rewriteTogether(cell: ICodeCellModel, { view, outputs }: Written): void {
  const [has, wanted] = [cell.sharedModel.getOutputs(), [view, ...outputs]];
  const last = has.length - 1;
  const more = grown(has[last], wanted[last]);
  const kept = more === '' ? has.length : last;
  const drawn = cell.outputs.length === has.length;
  if (!drawn || !has.slice(0, kept).every((output, index) => isSame(output, wanted[index]))) {
    cell.sharedModel.clearOutputs(null); // in one change with the next, streams would not know their places
    cell.sharedModel.updateOutputs(0, 0, wanted);
    return;
  }
  if (more !== '') {
    const text = cell.outputs.get(last).streamText;
    text?.insert(text.text.length, more);
  }
  if (wanted.length > has.length) {
    cell.sharedModel.updateOutputs(has.length, has.length, wanted.slice(has.length));
  }
}

/** What of a stream is to follow what there is; nothing where it is not the same stream. */
function grown(has: IOutput | undefined, wanted: IOutput | undefined): string {
  const [before, now] = [has, wanted].map(output =>
    output !== undefined && isStream(output) ? textOf(output) : ''
  ) as [string, string];
  return has?.name === wanted?.name && now.startsWith(before) ? now.slice(before.length) : '';
}

function isSame(one: IOutput, other: IOutput | undefined): boolean {
  const [before, now] = [viewIn(one), viewIn(other)];
  if (before !== null && now !== null) {
    return before.run === now.run && before.snapshot.phase === now.snapshot.phase;
  }
  return other !== undefined && JSONExt.deepEqual(one, other);
}

function viewIn(output: IOutput | undefined): Snapshot | null {
  const data = output?.data as Readonly<Record<string, unknown>> | undefined;
  return snapshotOf(data?.[MIME_TYPE]);
}

function textOf({ text }: IStream): string {
  return typeof text === 'string' ? text : text.join('');
}

/** Whether it has an output of each one's type in its place: those that stay are not drawn anew, and keep their focus. */
function fits({ outputs }: ICodeCellModel, wanted: readonly IOutput[]): boolean {
  return (
    outputs.length === wanted.length &&
    wanted.every(({ output_type }, index) => outputs.get(index).type === output_type)
  );
}
