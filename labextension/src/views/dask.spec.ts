import type { DaskCounts, DaskShown, DaskWorkerLine, Shown, Snapshot } from '../wire';
import { Card } from './card';
import type { Actions } from './card';
import { rateOf } from './dask';
import { daskFigures, workerTitle } from './daskwords';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

const TASKS: DaskCounts = {
  done: 1204,
  running: 32,
  waiting: 8364,
  rate: 74.6,
  seconds_left: 112,
  groups: [
    { name: 'merge', done: 212, total: 3000 },
    { name: 'sum', done: 0, total: 128 }
  ]
};

function worker(name: string, more: Partial<DaskWorkerLine> = {}): DaskWorkerLine {
  const memory = { memory: 12 * GIB, memory_limit: 16 * GIB };
  return { name, threads: 8, executing: 6, waiting: 17, cpu: 790, ...memory, ...more };
}

function withGpu(name: string, more: Partial<DaskWorkerLine> = {}): DaskWorkerLine {
  const gpu = { gpus: 1, busy: 51, gpu_memory: 66 * GIB, gpu_memory_total: 141 * GIB };
  return worker(name, { ...gpu, ...more });
}

function dask(workers: readonly DaskWorkerLine[], more: Partial<DaskShown> = {}): DaskShown {
  const all = { ...(workers[0] ?? {}), name: '', note: '', threads: 32, executing: 24 };
  return { count: workers.length, workers, all, tasks: TASKS, clients: 1, ...more };
}

function snapshot(found: DaskShown, members: Partial<Shown> = {}): Snapshot {
  const { done = 0, running = 0, waiting = 0, failed = 0 } = found.tasks ?? {};
  const total = done + running + waiting + failed;
  const progress = { label: '', done, total, unit: 'tasks', seconds_left: 112 };
  const open = running + waiting > 0;
  return {
    version: 1,
    id: 'abc',
    run: '',
    where: { backend: 'kubernetes', namespace: 'team-a', gpus: '4 workers × 1 H200' },
    snapshot: {
      saved: 'full',
      kind: 'dask',
      phase: 'Running',
      word: open ? 'Running' : 'Idle',
      name: 'etl',
      ...(open ? { progress } : { answer: 'nothing to do' }),
      dask: found,
      ...members
    }
  };
}

const nothing = () => Promise.resolve();
const ACTIONS: Actions = { stopTitle: 'End it', stop: nothing, keep: nothing };

let card: Card;
beforeEach(() => {
  card = new Card();
  document.body.append(card.node);
});
afterEach(() => {
  card.dispose();
  card.node.remove();
});

const all = (selector: string) => [...card.node.querySelectorAll<HTMLElement>(selector)];
const seen = (selector: string) => all(selector).filter(node => node.closest('[hidden]') === null);
const texts = (selector: string) => seen(selector).map(node => node.textContent);
const fold = (title: string) => seen('.gpuw-Fold').find(node => node.textContent === title);
const rows = (place = '.gpuw-Body') =>
  seen(`${place} .gpuw-Workers tbody tr`).map(row =>
    [...row.children].map(cell =>
      [...cell.children]
        .filter(part => !(part as HTMLElement).hidden)
        .map(part => part.textContent)
        .join('')
    )
  );
const titles = (place = '.gpuw-Body') => texts(`${place} .gpuw-Workers thead th`);

it('says what it is, how far it is, and draws the parts of its tasks', () => {
  card.show(snapshot(dask([worker('a')], { tasks: { ...TASKS, failed: 3 } })), null);
  expect(texts('.gpuw-Title')).toEqual(['●Runningetl · Dask · team-a · 4 workers × 1 H200']);
  expect(texts('.gpuw-Progress')).toEqual(['1,204 / 9,603 tasks13 %about 1 min 52 s left']);
  const [bar] = seen('.gpuw-Tasks');
  expect(bar?.getAttribute('aria-label')).toBe(
    '1,204 of 9,603 tasks done, 32 running, 8,364 waiting, 3 failed'
  );
  const parts = [...(bar?.children ?? [])] as HTMLElement[];
  expect(parts.map(part => Number(part.style.flexGrow))).toEqual([1204, 32, 3, 8364]);
  expect(seen('progress')).toEqual([]);
  expect(seen('.gpuw-Figures .gpuw-Key').map(key => key.className.split('-mod-')[1])).toEqual([
    'run',
    'wait',
    'fail'
  ]);
});

it('leaves no part in the bar of what there is none of', () => {
  card.show(snapshot(dask([worker('a')])), null);
  const parts = seen('.gpuw-Tasks > span').map(part => part.style.display);
  expect(parts).toEqual(['block', 'block', 'none', '']);
});

it('has a row for each worker, with columns of what is known alone', () => {
  card.show(snapshot(dask([worker('a'), worker('b', { cpu: null, memory: null })])), null);
  expect(titles()).toEqual(['worker', 'threads', 'CPU', 'memory']);
  expect(rows()).toEqual([
    ['a', '6 / 8', '790 %', '12 / 16 GiB'],
    ['b', '6 / 8', 'n/a', 'n/a']
  ]);
  const bars = seen('.gpuw-Workers .gpuw-Memory').map(bar => bar.className);
  expect(bars.filter(name => name.includes('unknown'))).toHaveLength(1);
});

it('tells of GPUs, of what was spilled and of what moves where there is any', () => {
  const moves = { spilled: 3 * GIB, sent: 12 * MIB, received: 11 * MIB };
  const odd = withGpu('b', { busy: null, missing: 'MIG gives none', note: 'memory almost full' });
  card.show(snapshot(dask([withGpu('a', moves), odd, worker('c')])), null);
  expect(titles()).toEqual([
    ...['worker', 'threads', 'CPU', 'memory', 'spilled', 'in', 'out', 'GPU', 'GPU memory', '']
  ]);
  const [one, other, without] = rows();
  expect(one?.slice(4)).toEqual(['3 GiB', '11 MiB/s', '12 MiB/s', '51 %', '66 / 141 GiB', '']);
  expect(other?.slice(7)).toEqual(['n/a', '66 / 141 GiB', 'memory almost full']);
  expect(without?.slice(7)).toEqual(['', '', '']);
  expect(other?.[0]).toBe('▲ b');
  const named = seen('.gpuw-Workers tbody th').map(node => node.title);
  expect(named[1]).toContain('Worker b, memory almost full, 6 / 8 threads busy, 17 tasks waiting');
  expect(named[1]).toContain('GPU busy n/a (MIG gives none)');
  const states = seen('.gpuw-Workers .gpuw-Memory').map(bar => bar.dataset.state);
  expect(states.slice(3, 5)).toEqual(['run', 'wait']);
});

it('keeps its rows when figures change, and drops workers that are gone', () => {
  card.show(snapshot(dask([worker('a'), worker('b'), worker('c')])), null);
  const [first] = seen('.gpuw-Workers tbody tr');
  card.show(snapshot(dask([worker('a', { executing: 0 }), worker('c'), worker('d')])), null);
  expect(seen('.gpuw-Workers tbody tr')[0]).toBe(first);
  expect(rows().map(([name, threads]) => [name, threads])).toEqual([
    ['a', '0 / 8'],
    ['c', '6 / 8'],
    ['d', '6 / 8']
  ]);
});

it('of many workers shows those that stand apart, and all of them when asked', () => {
  const many = Array.from({ length: 64 }, (_, n) => worker(`w${n}`));
  many[7] = worker('w7', { note: 'paused, its memory is full' });
  const rest = worker('', { threads: 1088, executing: 1080 });
  card.show(snapshot(dask(many, { count: 200, rest })), null);
  expect(rows().map(([name]) => name)).toEqual(['▲ w7']);
  fold('Workers')?.click();
  const opened = rows('.gpuw-FoldPanel');
  expect(opened).toHaveLength(65);
  expect(opened[64]?.slice(0, 2)).toEqual(['and 136 more', '1,080 / 1,088']);
});

it('draws what its threads and GPUs did, or how fast tasks were done where it has none', () => {
  const past = { seconds: 120, busy: [50, 75], rate: [80, null], utilisation: [40, 51] };
  card.show(snapshot(dask([withGpu('a')], { past })), null);
  expect(texts('.gpuw-Wide')).toEqual(['threads busy 75 %last 2 min', 'GPU busy 51 %last 2 min']);
  card.show(snapshot(dask([worker('a')], { past })), null);
  expect(texts('.gpuw-Wide')).toEqual([
    'threads busy 75 %last 2 min',
    '74.6 tasks/sat most 80 tasks/s · last 2 min'
  ]);
  card.show(snapshot(dask([worker('a')])), null);
  expect(texts('.gpuw-Wide')).toEqual([]);
});

it('draws tasks a second up to the most there were, with a gap where nothing is known', () => {
  const past = { seconds: 60, rate: [20, null, 80] };
  const [, points] = rateOf(dask([worker('a')]), past, true);
  expect(points).toEqual([25, null, 100]);
  expect(rateOf(dask([]), { seconds: 60, rate: [0, 0] }, true)[1]).toEqual([0, 0]);
});

it('says in figures what does not stand over the curves', () => {
  const past = { seconds: 120 };
  const found = dask([withGpu('a', { spilled: 3 * GIB, received: 56 * MIB })], {
    moved: 3 * GIB,
    clients: 2
  });
  const said = (one: DaskShown) =>
    daskFigures(one).map(({ word, figure }) => `${word} ${figure}`.trim());
  const always = ['GPU memory 66 / 141 GiB', 'memory 12 / 16 GiB', 'spilled 3 GiB'];
  const rest = [...always, 'moved 3 GiB · 56 MiB/s now', '2 clients'];
  const parts = ['32 running', '8,364 waiting', '74.6 tasks/s'];
  expect(said(found)).toEqual([...parts, 'threads busy 24 / 32', 'GPU busy 51 %', ...rest]);
  expect(said({ ...found, past })).toEqual([...parts, ...rest]);
  const without = dask([worker('a')], { past });
  expect(said(without)).toEqual(['32 running', '8,364 waiting', 'memory 12 / 16 GiB']);
  expect(said({ count: 0, clients: 0 })).toEqual(['no client']);
  expect(said({ wanted: 4 })).toEqual([]);
});

it('opens the functions of its computation in place', () => {
  card.show(snapshot(dask([worker('a')])), null);
  expect(texts('.gpuw-Functions')).toEqual([]);
  fold('Functions')?.click();
  expect(texts('.gpuw-Functions li')).toEqual(['merge212 / 3,000', 'sum0 / 128']);
});

it('says one sentence while it idles, and keeps its workers in sight', () => {
  const { executing, ...idle } = worker('a'); // what is 0 is not sent
  expect(executing).toBe(6);
  card.show(snapshot(dask([idle], { tasks: { done: 12 } })), ACTIONS);
  expect(texts('.gpuw-Answer')).toEqual(['nothing to do']);
  expect(texts('.gpuw-Key')).toEqual([]);
  expect(rows()[0]?.slice(0, 2)).toEqual(['a', '0 / 8']);
  const [bar] = seen('.gpuw-Workers .gpuw-Memory');
  expect(bar?.className).toBe('gpuw-Memory');
});

it('is one line when it has ended, with its workers and its past when asked', () => {
  const past = { seconds: 120, busy: [50, 75], utilisation: [40, 51] };
  const ended = { phase: 'Stopped', word: 'Stopped', answer: '12 tasks done' } as const;
  card.show(snapshot(dask([withGpu('a')], { past }), ended), ACTIONS);
  expect(texts('.gpuw-Title')[0]).toContain('12 tasks done');
  expect(texts('.gpuw-Body, .gpuw-Foot')).toEqual([]);
  seen('.gpuw-Head > .gpuw-Fold')[0]?.click();
  fold('Over time')?.click();
  fold('Workers')?.click();
  expect(texts('.gpuw-Wide')).toEqual(['threads busy last 2 min', 'GPU busy last 2 min']);
  expect(rows('.gpuw-FoldPanel')).toHaveLength(1);
});

it('writes code in its notes as code', () => {
  const notes = ['1 of 4 workers waits: no GPU. Ask with `%gpu dask --n-workers 3`'];
  card.show(snapshot(dask([worker('a')]), { notes }), null);
  expect(texts('.gpuw-Note .gpuw-Code')).toEqual(['%gpu dask --n-workers 3']);
});

describe('what can be done', () => {
  const found = dask([worker('a')], { dashboard: true });
  const open = { ...ACTIONS, dashboard: '/gpu-workbench/dask/kubernetes/abc/status' };
  const buttons = () => texts('.gpuw-Buttons > *');

  it('links to its dashboard, in a tab that knows nothing of this one', () => {
    card.show(snapshot(found), open);
    expect(buttons()).toEqual(['Dashboard', 'Stop']);
    const [link] = seen('.gpuw-Buttons a') as HTMLAnchorElement[];
    expect(link?.getAttribute('href')).toBe(open.dashboard);
    expect([link?.target, link?.rel]).toEqual(['_blank', 'noopener']);
  });

  it.each<[string, Snapshot, Actions | null]>([
    ['nobody may act', snapshot(found), null],
    ['nobody knows the way to it', snapshot(found), ACTIONS],
    ['it has none', snapshot(dask([worker('a')])), open],
    ['it has ended', snapshot(found, { phase: 'Stopped', word: 'Stopped' }), open]
  ])('has no link where %s', (_, shown, actions) => {
    card.show(shown, actions);
    expect(seen('a')).toEqual([]);
  });

  it('puts off its end where it ends by itself', () => {
    const idle = dask([worker('a')], { tasks: {} });
    card.show(snapshot(idle), ACTIONS);
    expect(buttons()).toEqual(['Stop']);
    card.show(snapshot(idle, { ending: { name: 'idle', seconds: 840 } }), ACTIONS);
    expect(buttons()).toEqual(['Keep 2 h', 'Stop']);
  });
});

it.each(['<img src=x onerror=alert(1)>', '<script>alert(1)</script>'])('shows %s as text', bad => {
  const line = worker(bad, { note: bad, whole: bad, missing: bad, gpus: 1 });
  const groups = [{ name: bad, done: 1, total: 2 }];
  const found = dask([line], { tasks: { ...TASKS, groups } });
  card.show(snapshot(found, { notes: [bad], name: bad }), null);
  fold('Functions')?.click();
  expect(card.node.querySelector('img, script')).toBeNull();
  expect(rows()[0]?.[0]).toBe(`▲ ${bad}`);
  expect(texts('.gpuw-Functions code')).toEqual([bad]);
  expect(workerTitle(line)).toContain(bad);
});
