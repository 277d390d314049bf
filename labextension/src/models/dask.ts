/** The part of a view's data that is about a Dask cluster, read as if forged. */

import type {
  DaskCounts,
  DaskGroup,
  DaskPast,
  DaskShown,
  DaskWorkerLine,
  Explanation
} from '../wire';
import { count, flag, list, number, object, points, text } from './reading';
import type { Read } from './reading';

const POINTS = 120;
const WORKERS = 64;
const GROUPS = 8;

const WORD = text(120);

const counts = object<DaskCounts>({
  done: count,
  failed: count,
  running: count,
  waiting: count,
  stuck: count,
  retried: count,
  rate: number,
  seconds_left: number,
  groups: list(
    object<DaskGroup>({ name: WORD, done: count, total: count }, ['name', 'done', 'total']),
    GROUPS
  )
});

const worker = object<DaskWorkerLine>({
  name: WORD,
  whole: WORD,
  note: WORD,
  threads: count,
  executing: count,
  waiting: count,
  cpu: number,
  memory: count,
  memory_limit: count,
  spilled: count,
  sent: count,
  received: count,
  gpus: count,
  busy: number,
  gpu_memory: count,
  gpu_memory_total: count,
  missing: WORD
});

const past = object<DaskPast>(
  { seconds: number, busy: points(POINTS), rate: points(POINTS), utilisation: points(POINTS) },
  ['seconds']
);

/** @param explanation How an explanation is read. */
export function daskReader(explanation: Read<Explanation>): Read<DaskShown> {
  return object<DaskShown>({
    wanted: count,
    count,
    tasks: counts,
    workers: list(worker, WORKERS),
    rest: worker,
    all: worker,
    clients: count,
    moved: count,
    lost: count,
    idle: number,
    waits: explanation,
    past,
    dashboard: flag
  });
}
