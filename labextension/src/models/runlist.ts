/** The runs that a list of workloads tells of: a job is one itself, a session has some. */

import type { Phase, Row, RunLine } from '../wire';

/** One run. */
export interface Run {
  /** The workload's id and the run's; of a job only its own. */
  readonly key: string;
  readonly row: Row;
  /** `null` where the workload is the run itself. */
  readonly line: RunLine | null;
  readonly phase: Phase;
  /** Seconds in a session's queue; `null` where that is not known. */
  readonly waited: number | null;
  /** Seconds for which it has run; `null` where that is not known. */
  readonly ran: number | null;
  /** What people call it. */
  readonly name: string;
}

/** All runs of these workloads. */
export function runsOf(rows: Iterable<Row>): Run[] {
  const found: Run[] = [];
  for (const row of rows) {
    if (isSession(row)) {
      for (const line of row.runs ?? []) {
        found.push({
          key: keyOf(row.id, line.id),
          row,
          line,
          phase: line.phase ?? 'Queued',
          waited: line.waited ?? null,
          ran: line.ran ?? null,
          name: runName(line, row)
        });
      }
    } else {
      const { phase = 'Queued', waited = null, ran = null } = row;
      found.push({ key: row.id, row, line: null, phase, waited, ran, name: nameOf(row) });
    }
  }
  return found;
}

/** A run's key, from its workload's id and its own. */
export function keyOf(workload: string, run: string): string {
  return `${workload}/${run}`;
}

/** Whether a workload is a place in which runs come and go. */
export function isSession(row: Row): boolean {
  return (row.kind ?? 'session') === 'session';
}

/** What people call a run in a session: its name, or its notebook with the number that its cell had. */
export function runName(line: RunLine, row: Row): string {
  const name = line.name ?? '';
  const place = nonEmpty(row.file) ?? nameOf(row);
  if (name === '') {
    return place;
  }
  return /^\[\d+\]$/.test(name) ? `${place} ${name}` : name;
}

/** What people call a workload. */
export function nameOf(row: Row): string {
  return nonEmpty(row.name) ?? row.id.slice(0, 8);
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
