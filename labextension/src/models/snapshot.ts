/** The data of a view in a notebook's outputs. A notebook comes from anywhere: what is in it is read as if forged. */

import { trans } from '../translation';
import { BUNDLE, PACKAGE } from '../wire';
import type {
  Band,
  Cause,
  Chart,
  Ending,
  Explanation,
  Failure,
  GpuSeries,
  Kind,
  Moment,
  Phase,
  Progress,
  Published,
  RankLine,
  Receipt,
  ResultLine,
  Saved,
  Shown,
  Snapshot,
  Where
} from '../wire';
import { daskReader } from './dask';
import { count, flag, list, number, object, oneOf, points, record, text } from './reading';
import type { Read } from './reading';
import { isMembers } from './topic';

export const MIME_TYPE = 'application/vnd.gpu-workbench.run+json';

const POINTS = 240;
const GPUS = 64;
const RANKS = 64;

const WORD = text(120);
const SENTENCE = text(500);
const ID = /^[A-Za-z0-9_-]{1,64}$/;

const id: Read<string> = value => (typeof value === 'string' && ID.test(value) ? value : undefined);

const saved = oneOf<Saved>({ summary: true, full: true, none: true });

const kind = oneOf<Kind>({
  session: true,
  job: true,
  dask: true,
  ray: true,
  service: true,
  kernel: true,
  store: true
});

const phase = oneOf<Phase>({
  Queued: true,
  Pending: true,
  Starting: true,
  Running: true,
  Stopping: true,
  Succeeded: true,
  Failed: true,
  Stopped: true,
  Lost: true
});

const cause = oneOf<Cause>({
  'user-error': true,
  'syntax-error': true,
  interrupted: true,
  exited: true,
  signalled: true,
  'out-of-memory': true,
  'cuda-out-of-memory': true,
  'time-limit': true,
  stopped: true,
  lost: true,
  'not-started': true
});

const where = object<Where>(
  {
    backend: WORD,
    session: WORD,
    context: WORD,
    namespace: WORD,
    gpus: WORD,
    nodes: list(WORD, 16),
    price: number,
    currency: WORD,
    hidden: list(WORD, 8)
  },
  ['backend']
);

const progress = object<Progress>(
  {
    label: WORD,
    done: number,
    total: number,
    unit: WORD,
    rate: number,
    seconds_left: number
  },
  ['label', 'done']
);

const explanation = object<Explanation>(
  { code: WORD, sentence: SENTENCE, fix: SENTENCE, source: SENTENCE, waits: flag },
  ['code', 'sentence']
);

const failure = object<Failure>(
  {
    cause,
    what: SENTENCE,
    detail: text(4000),
    rank: count,
    exit_code: number,
    signal: WORD
  },
  ['cause', 'what']
);

const receipt = object<Receipt>(
  {
    seconds: number,
    waited: number,
    gpus: count,
    gpu_seconds: number,
    mean_utilisation: number,
    peak_memory: number,
    simulated: flag,
    restarts: count
  },
  ['seconds']
);

const reasons = record(WORD, 8);

const gpu = object<GpuSeries>(
  {
    rank: count,
    gpu: count,
    name: WORD,
    utilisation: points(POINTS),
    memory: points(POINTS),
    busy: number,
    memory_used: number,
    memory_total: number,
    temperature: number,
    power: number,
    clock: number,
    clock_max: number,
    throttle: list(WORD, 4),
    slowed: WORD,
    missing: reasons
  },
  ['rank', 'gpu']
);

const band = object<Band>({ p10: points(POINTS), p50: points(POINTS), p90: points(POINTS) });

const chart = object<Chart>(
  {
    seconds: number,
    count,
    gpus: list(gpu, GPUS),
    utilisation: band,
    memory: band,
    busy: number,
    memory_used: number,
    memory_total: number,
    missing: reasons
  },
  ['seconds', 'count']
);

const rank = object<RankLine>(
  {
    rank: count,
    phase,
    host: WORD,
    gpus: count,
    busy: number,
    memory_used: number,
    memory_total: number,
    clock: number,
    clock_max: number,
    slowed: WORD,
    progress,
    last_line: WORD,
    failure
  },
  ['rank']
);

const published = object<Published>({
  cursor: text(100),
  characters: record(count, 8),
  displays: count
});

const shown = object<Shown>(
  {
    saved,
    kind,
    phase,
    word: WORD,
    name: WORD,
    cell: WORD,
    answer: SENTENCE,
    hint: SENTENCE,
    notes: list(SENTENCE, 8),
    waited: number,
    ran: number,
    progress,
    explanation,
    failure,
    results: list(object<ResultLine>({ name: WORD, size: number }, ['name', 'size']), 64),
    receipt,
    cost: WORD,
    chart,
    ranks: list(rank, RANKS),
    rank_count: count,
    moments: list(object<Moment>({ at: number, what: WORD }, ['at', 'what']), 64),
    ending: object<Ending>({ name: WORD, seconds: number }, ['name', 'seconds']),
    simulated: flag,
    characters: record(count, 8),
    displays: count,
    truncated: count,
    published,
    dask: daskReader(explanation)
  },
  ['saved']
);

const snapshot = object<Snapshot>(
  {
    version: value => (value === BUNDLE ? BUNDLE : undefined),
    id,
    run: value => (value === '' ? '' : id(value)),
    where,
    snapshot: value => (understood(value) ? shown(value) : undefined),
    package: WORD
  },
  ['version', 'id', 'run', 'where', 'snapshot']
);

/** The bundle's data, as far as it is what this version draws; `null` where that is nothing. */
export function snapshotOf(data: unknown): Snapshot | null {
  return snapshot(data) ?? null;
}

/** Whether its phase, if it has one, is known here: none is shown in place of another. */
function understood(value: unknown): boolean {
  const found =
    typeof value === 'object' && value !== null && 'phase' in value ? value.phase : undefined;
  return found === undefined || phase(found) !== undefined;
}

/** Why a bundle's data cannot be drawn, and what to do. */
export function undrawable(data: unknown): string {
  if (!isMembers(data) || typeof data.version !== 'number' || data.version <= BUNDLE) {
    return trans.__('This view cannot be read');
  }
  const version = typeof data.package === 'string' ? ` ${data.package.slice(0, 30)}` : '';
  return trans.__(
    "A newer %1 made this view, and here is %2. To see all of it, update the Jupyter server's: %3",
    `gpu-workbench${version}`,
    PACKAGE,
    '`pip install --upgrade jupyter-gpu-workbench`'
  );
}
