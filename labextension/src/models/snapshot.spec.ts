import { Card } from '../views/card';
import { snapshotOf } from './snapshot';

const GPU = {
  rank: 0,
  gpu: 0,
  utilisation: [1, null, 3],
  busy: 3,
  memory_used: 1,
  memory_total: 2
};

function bundle(members: object = {}, where: object = { backend: 'local' }): unknown {
  const snapshot = { saved: 'summary', phase: 'Running', word: 'Running', ...members };
  return { version: 1, id: 'abc-1', run: 'run_1', where, snapshot };
}

const parsed = (text: string): unknown => JSON.parse(text);

it('reads what a kernel has written, member for member', () => {
  const written = bundle({
    name: 'finetune',
    notes: ['one'],
    progress: { label: 'step', done: 3, total: 10 },
    chart: { seconds: 60, count: 1, gpus: [{ ...GPU, missing: { power: 'not given' } }] },
    ranks: [
      { rank: 1, phase: 'Failed', failure: { cause: 'exited', what: 'gone', exit_code: -9 } }
    ],
    published: { cursor: 'e.17', characters: { stdout: 420 }, displays: 2 },
    kind: 'dask',
    dask: {
      wanted: 4,
      count: 2,
      tasks: { done: 3, waiting: 7, rate: 1.5, groups: [{ name: 'merge', done: 3, total: 10 }] },
      workers: [{ name: 'w1', threads: 8, cpu: 790, memory: 12, memory_limit: 16, gpus: 1 }],
      rest: { threads: 8, busy: 51, missing: 'MIG gives none' },
      waits: { code: 'taken', sentence: 'All GPUs are taken' },
      past: { seconds: 60, busy: [1, null, 3], rate: [0.5] },
      dashboard: true
    }
  });
  expect(snapshotOf(written)).toEqual(written);
});

it.each([
  ['another version', { ...(bundle() as object), version: 2 }],
  ['no version', { ...(bundle() as object), version: undefined }],
  ['an id that is a path', { ...(bundle() as object), id: '../contents/x' }],
  ['an id that is markup', { ...(bundle() as object), id: '<img>' }],
  ['a run that is a list', { ...(bundle() as object), run: ['a'] }],
  ['no place', { ...(bundle() as object), where: null }],
  ['a phase that is not known', bundle({ phase: 'Hacked' })],
  ['a phase of every object', bundle({ phase: 'constructor' })],
  ['a list', []],
  ['text', 'abc'],
  ['nothing', null]
])('refuses %s', (_, data) => {
  expect(snapshotOf(data)).toBeNull();
});

/** What a forged notebook may hold in place of each member. */
const WRONG: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  parsed('1e999'),
  '',
  '<img src=x onerror=alert(1)>',
  'x'.repeat(1_000_000),
  '\u202egnp.exe',
  [],
  [null, [], {}, 'x', 1],
  Array.from({ length: 100_000 }, () => ({ ...GPU })),
  Array.from({ length: 100_000 }, (_, at) => at),
  {},
  { a: { b: { c: {} } } },
  parsed('{"__proto__": {"phase": "Failed"}, "constructor": 1, "toString": 2}'),
  { length: 1e9 },
  { seconds: 'x', count: 1e9, gpus: 'x', utilisation: { p50: 'x' } },
  { seconds: -1e300, count: 100_000, gpus: Array.from({ length: 100_000 }, () => ({ ...GPU })) },
  { seconds: 60, count: 20, utilisation: { p10: [1] }, memory: {}, gpus: [{ rank: {}, gpu: [] }] },
  { label: {}, done: 'x', total: [] },
  { label: 'x', done: 1e17, total: 1e-300, rate: -1, unit: {}, seconds_left: 1e300 },
  { cause: 'constructor', what: {}, detail: 1, rank: 'x' },
  { count: 1e9, workers: Array.from({ length: 100_000 }, () => ({ name: 'w' })), rest: {} },
  { count: -1, tasks: { done: -1, groups: [{ name: [] }] }, workers: [null, { name: {} }] },
  { tasks: { done: 1e17, waiting: 1e300, groups: 'x' }, past: { seconds: 1, busy: 'x' }, all: 7 },
  { count: 1, workers: [{ threads: 0, executing: 5, memory: 1, memory_limit: 0, gpus: 9 }] }
];

const MEMBERS = [
  ...['saved', 'kind', 'word', 'name', 'cell', 'answer', 'hint', 'notes', 'waited', 'ran'],
  ...['progress', 'explanation', 'failure', 'results', 'receipt', 'cost', 'chart', 'ranks'],
  ...[
    'rank_count',
    'moments',
    'ending',
    'simulated',
    'characters',
    'displays',
    'truncated',
    'published',
    'dask'
  ]
];

it.each(MEMBERS)('draws a card whatever stands in %s', member => {
  for (const wrong of WRONG) {
    for (const phase of ['Running', 'Failed', 'Succeeded']) {
      const found = snapshotOf(bundle({ phase, [member]: wrong }));
      const card = new Card();
      if (found !== null) {
        card.show(found, null);
        for (const fold of card.node.querySelectorAll<HTMLElement>('.gpuw-Fold:not([hidden])')) {
          fold.click();
        }
      }
      expect(card.node.querySelectorAll('*').length).toBeLessThan(2000);
      expect(card.node.textContent.length).toBeLessThan(20_000);
      expect(card.node.querySelector('img, script, iframe')).toBeNull();
      card.dispose();
    }
  }
});

it.each(['backend', 'session', 'context', 'namespace', 'gpus', 'nodes', 'price', 'hidden'])(
  'draws a card whatever stands in the place’s %s',
  member => {
    for (const wrong of WRONG) {
      const found = snapshotOf(bundle({}, { backend: 'local', [member]: wrong }));
      const card = new Card();
      if (found !== null) {
        card.show(found, null);
      }
      expect(card.node.textContent.length).toBeLessThan(2000);
      card.dispose();
    }
  }
);

it('leaves out what is wrong and keeps the rest', () => {
  const found = snapshotOf(bundle({ name: 7, answer: 'fine', chart: { seconds: 'x', count: 1 } }));
  expect(found?.snapshot).toEqual({
    saved: 'summary',
    phase: 'Running',
    word: 'Running',
    answer: 'fine'
  });
});

it('takes a point that is no number for a gap', () => {
  const points = [1, 'x', null, {}, parsed('1e999'), 5];
  const chart = { seconds: 6, count: 1, gpus: [{ ...GPU, utilisation: points }] };
  const found = snapshotOf(bundle({ chart }));
  expect(found?.snapshot.chart?.gpus?.[0]?.utilisation).toEqual([1, null, null, null, null, 5]);
});

it('takes the direction marks out of names', () => {
  expect(snapshotOf(bundle({ name: 'a\u202eb\u0000c' }))?.snapshot.name).toBe('abc');
});

it('reads of a forged Dask cluster 64 workers at most', () => {
  const workers = Array.from({ length: 1000 }, (_, n) => ({ name: `w${n}` }));
  expect(snapshotOf(bundle({ dask: { workers } }))?.snapshot.dask?.workers).toHaveLength(64);
});
