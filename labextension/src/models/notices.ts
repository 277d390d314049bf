/** What is worth a notice: a long run that has started, failed or is done, seen to happen from this page. */

import { trans } from '../translation';
import type { Phase, Row } from '../wire';
import { ended, waits } from './phases';
import { isSession, nameOf, runsOf } from './runlist';
import type { Run } from './runlist';

/** A notice. */
export interface Notice {
  /** The same in every tab. */
  readonly key: string;
  readonly kind: 'started' | 'done' | 'failed' | 'lost';
  /** What people call the run. */
  readonly name: string;
  /** Seconds after which it happened. */
  readonly after: number;
  readonly row: Row;
  /** The run's id in a session; empty where the workload is meant. */
  readonly run: string;
}

const KINDS: Readonly<Partial<Record<Phase, Notice['kind']>>> = {
  Succeeded: 'done',
  Failed: 'failed',
  Lost: 'lost'
};

/** Sees one list after the other, and tells what happened between them. */
export class Notices {
  /**
   * Take in the list as it is now.
   *
   * @param threshold Seconds that a run has to have taken, its waiting included.
   * @param now Seconds since 1970, by this computer's clock.
   */
  take(rows: Iterable<Row>, threshold: number, now: number): Notice[] {
    const all = [...rows];
    const runs = runsOf(all);
    const sessions = all.filter(isSession);
    const notices = runs.flatMap(run => this._ofRun(run, now));
    for (const row of sessions) {
      const told = notices.some(notice => notice.row.id === row.id);
      notices.push(...this._ofSession(row, told, now));
    }
    this._phases = new Map([
      ...runs.map(run => [run.key, run.phase] as const),
      ...sessions.map(row => [row.id, row.phase ?? 'Queued'] as const)
    ]);
    return notices.filter(notice => notice.after >= threshold);
  }

  private _ofRun({ key, row, line, phase, waited, ran, name }: Run, now: number): Notice[] {
    const run = line?.id ?? '';
    const age = now - row.started; // of a job: it was asked for when its workload was
    if (this._begins(key, phase)) {
      const after = line === null ? age : (waited ?? 0);
      return [{ key: `${key} started`, kind: 'started', name, after, row, run }];
    }
    const kind = KINDS[phase];
    if (this._ends(key, phase) && kind !== undefined) {
      const after = line === null && ran === null ? age : (waited ?? 0) + (ran ?? 0);
      return [{ key: `${key} ended`, kind, name, after, row, run }];
    }
    return [];
  }

  /** Its runs tell what becomes of it, where it has some that go on. */
  private _ofSession(row: Row, told: boolean, now: number): Notice[] {
    const phase = row.phase ?? 'Queued';
    const after = now - row.started;
    const name =
      row.file == null || row.file === ''
        ? trans.__('Session %1', nameOf(row))
        : trans.__('Session %1 of %2', nameOf(row), row.file);
    if (this._begins(row.id, phase)) {
      return [{ key: `${row.id} started`, kind: 'started', name, after, row, run: '' }];
    }
    const kind = KINDS[phase];
    if (this._ends(row.id, phase) && !told && kind !== undefined && kind !== 'done') {
      return [{ key: `${row.id} ended`, kind, name, after, row, run: '' }];
    }
    return [];
  }

  private _begins(key: string, phase: Phase): boolean {
    const before = this._phases.get(key) ?? 'Running';
    return phase === 'Running' && waits(before);
  }

  private _ends(key: string, phase: Phase): boolean {
    return !ended(this._phases.get(key) ?? 'Succeeded') && ended(phase);
  }

  private _phases: ReadonlyMap<string, Phase> = new Map();
}
