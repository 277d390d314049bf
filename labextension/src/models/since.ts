/** What has ended while nobody looked. */

import { trans } from '../translation';
import type { Phase, Row } from '../wire';
import { ended } from './phases';
import { isSession, runsOf } from './runlist';

/** What was going on when somebody last looked. */
export interface Seen {
  /** Seconds since 1970, by this computer's clock. */
  readonly at: number;
  /** Keys of the runs that had not ended. */
  readonly going: readonly string[];
}

/** What has ended since. */
export interface Since {
  readonly done: number;
  readonly failed: number;
  readonly stopped: number;
  /** Ids of the workloads that these are. */
  readonly workloads: ReadonlySet<string>;
  /** Keys of runs whose workload has ended and tells no more of them: how they ended has to be asked. */
  readonly open: readonly string[];
}

const MOST = 500;

/** What to keep for the next time. */
export function seen(rows: Iterable<Row>, now: number): Seen {
  const going = runsOf(rows).filter(run => !ended(run.phase));
  return { at: now, going: going.map(run => run.key).slice(0, MOST) };
}

/**
 * What has ended since: of what went on then, and of what was started after.
 *
 * @param known How runs ended that were asked for one by one.
 */
export function since(
  rows: ReadonlyMap<string, Row>,
  before: Seen,
  known: ReadonlyMap<string, Phase> = new Map()
): Since {
  const told = new Map(runsOf(rows.values()).map(run => [run.key, run]));
  const going = new Set(before.going);
  const counts = { done: 0, failed: 0, stopped: 0 };
  const workloads = new Set<string>();
  const open: string[] = [];
  const count = (workload: string, phase: Phase) => {
    if (ended(phase)) {
      counts[kindOf(phase)] += 1;
      workloads.add(workload);
    }
  };
  for (const key of going) {
    const workload = key.split('/', 1)[0] ?? key;
    const row = rows.get(workload);
    const phase = told.get(key)?.phase ?? known.get(key);
    if (phase !== undefined) {
      count(workload, phase);
    } else if (row !== undefined && ended(row.phase ?? 'Queued')) {
      open.push(key);
    }
  }
  for (const [key, run] of told) {
    if (!going.has(key) && !isSession(run.row) && run.row.started > before.at) {
      count(run.row.id, run.phase);
    }
  }
  return { ...counts, workloads, open };
}

/** In words; empty where nothing has ended. */
export function inWords(found: Since): string {
  const { done, failed, stopped } = found;
  const parts = [
    done > 0 ? trans.__('%1 done', done) : '',
    failed > 0 ? trans.__('%1 failed', failed) : '',
    stopped > 0 ? trans.__('%1 stopped', stopped) : ''
  ].filter(Boolean);
  return parts.length === 0 ? '' : trans.__('Since you left: %1', parts.join(', '));
}

function kindOf(phase: Phase): 'done' | 'failed' | 'stopped' {
  if (phase === 'Succeeded') {
    return 'done';
  }
  return phase === 'Stopped' ? 'stopped' : 'failed';
}
