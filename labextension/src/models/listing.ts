/** Which rows the panel shows, and in which groups. */

import { trans } from '../translation';
import type { Phase, Row } from '../wire';
import { ended } from './phases';

/** What the list can be narrowed to. */
export type Filter = 'notebook' | 'failed' | 'idle';

/** What whoever looks wants to see. */
export interface Wanted {
  /** What was typed. */
  readonly word: string;
  readonly filters: ReadonlySet<Filter>;
  /** The notebook that is open, as Jupyter's contents API has it; empty for none. */
  readonly notebook: string;
  /** Ids of the only workloads that are wanted; `null` for all. */
  readonly only: ReadonlySet<string> | null;
}

/** Rows that belong together, the newest first. */
export interface Group {
  readonly title: string;
  /** What they have in all; empty where there is nothing to add up. */
  readonly sum: string;
  readonly rows: readonly Row[];
}

/** The groups that have rows, in order. */
export function groupsOf(rows: Iterable<Row>, wanted: Wanted, now: Date): Group[] {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
  const groups: { title: string; sums: boolean; rows: [number, Row][] }[] = [
    { title: trans.__('Running'), sums: true, rows: [] },
    { title: trans.__('Waiting'), sums: true, rows: [] },
    { title: trans.__('Today'), sums: false, rows: [] },
    { title: trans.__('Before today'), sums: false, rows: [] }
  ];
  for (const row of rows) {
    if (isWanted(row, wanted)) {
      const phase = row.phase ?? 'Queued';
      const at = ended(phase) ? endOf(row) : row.started;
      groups[place(phase, at >= midnight)]?.rows.push([at, row]);
    }
  }
  return groups
    .filter(group => group.rows.length > 0)
    .map(({ title, sums, rows: found }) => {
      const sorted = found.sort(([one], [other]) => other - one).map(([, row]) => row);
      return { title, sum: sums ? gpus(sorted) : '', rows: sorted };
    });
}

function place(phase: Phase, today: boolean): number {
  if (ended(phase)) {
    return today ? 2 : 3;
  }
  return phase === 'Running' || phase === 'Stopping' ? 0 : 1;
}

/** When it ended, as far as its times are known: at least when it was started. */
function endOf(row: Row): number {
  return row.started + (row.waited ?? 0) + (row.ran ?? 0);
}

function gpus(rows: readonly Row[]): string {
  const count = rows.reduce((sum, row) => sum + (row.gpu_count ?? 0), 0);
  return count === 0 ? '' : trans._n('%1 GPU', '%1 GPUs', count);
}

function isWanted(row: Row, wanted: Wanted): boolean {
  const { only, filters, notebook } = wanted;
  if (only !== null && !only.has(row.id)) {
    return false;
  }
  if (filters.has('notebook') && notebook !== '' && row.path !== notebook) {
    return false;
  }
  return inState(row, filters) && matches(row, wanted.word.trim().toLowerCase());
}

/** Whether it failed or idles, where that is what is wanted. */
function inState(row: Row, filters: ReadonlySet<Filter>): boolean {
  if (!filters.has('failed') && !filters.has('idle')) {
    return true;
  }
  return (filters.has('failed') && hasFailed(row)) || (filters.has('idle') && row.word === 'Idle');
}

/** Whether it has failed, or of a session that goes on, its last run. */
function hasFailed(row: Row): boolean {
  const runs = row.runs ?? [];
  return [row.phase, runs[runs.length - 1]?.phase].some(
    phase => phase === 'Failed' || phase === 'Lost'
  );
}

/** Whether a row goes by what was typed, in small letters. */
function matches(row: Row, word: string): boolean {
  const texts = [row.name, row.path, row.file, row.image, row.id, row.namespace, row.backend];
  return (
    word === '' ||
    [...texts, ...(row.runs ?? []).map(run => run.name)].some(
      text => text?.toLowerCase().includes(word) === true
    )
  );
}
