import { see } from '../testing';
import type { Chart, GpuSeries, RankLine, Shown, Snapshot } from '../wire';
import { Card } from './card';
import type { Actions } from './card';

const GIB = 2 ** 30;

function snapshot(members: Partial<Shown>): Snapshot {
  return {
    version: 1,
    id: 'abc',
    run: 'run-1',
    where: { backend: 'kubernetes', context: 'prod', namespace: 'team-a', gpus: '8 H200' },
    snapshot: { saved: 'full', phase: 'Running', word: 'Running', name: 'train', ...members }
  };
}

function gpu(number: number, more: Partial<GpuSeries> = {}): GpuSeries {
  const figures = { busy: 92, memory_used: 66 * GIB, memory_total: 141 * GIB };
  return { rank: 0, gpu: number, utilisation: [90, 92], memory: [40, 47], ...figures, ...more };
}

function chart(gpus: readonly GpuSeries[]): Chart {
  const figures = { busy: 92, memory_used: 66 * GIB, memory_total: 141 * GIB };
  return { seconds: 120, count: gpus.length, gpus, ...figures };
}

const stopped = { cause: 'stopped', what: 'stopped by rank 3' } as const;

function failedGang(ranks = 8): Partial<Shown> {
  const first: RankLine = {
    rank: 3,
    phase: 'Failed',
    host: 'node-a',
    failure: { cause: 'exited', what: 'KeyError', exit_code: 1 }
  };
  const others = Array.from({ length: ranks }, (_, rank) => rank)
    .filter(rank => rank !== 3)
    .map((rank): RankLine => ({ rank, phase: 'Stopped', failure: stopped }));
  return {
    phase: 'Failed',
    word: 'Failed',
    answer: 'KeyError, on rank 3 (node-a)',
    failure: { cause: 'exited', what: 'KeyError', rank: 3 },
    ranks: [first, ...others],
    rank_count: ranks
  };
}

const nothing = () => Promise.resolve();
const ACTIONS: Actions = { stopTitle: 'Stop it', stop: nothing, keep: nothing };

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
const shownText = (selector: string) =>
  all(selector)
    .filter(node => node.closest('[hidden]') === null)
    .map(node => node.textContent);
const fold = (title: string) => {
  const found = all('.gpuw-Fold').find(node => node.textContent === title && !node.hidden);
  return found ?? document.createElement('i');
};

it('says progress, speed and what all GPUs have in common', () => {
  const progress = { label: 'epoch 2', done: 1240, total: 5000, unit: 'step', rate: 12.4 };
  card.show(
    snapshot({ progress: { ...progress, seconds_left: 304 }, chart: chart([gpu(0), gpu(1)]) }),
    null
  );
  expect(shownText('.gpuw-Progress')).toEqual([
    'epoch 2: 1,240 / 5,000 step25 %about 5 min 04 s left'
  ]);
  expect(shownText('.gpuw-Figures > span')).toEqual([
    '12.4 step/s',
    '2 GPUs busy 92 %',
    'fullest memory 66 / 141 GiB'
  ]);
});

it('draws a tile for each GPU, which says all that is known of it', () => {
  const odd = gpu(1, {
    busy: null,
    utilisation: [],
    missing: { utilisation: 'MIG gives no utilisation' }
  });
  const slow = gpu(2, { slowed: 'slowed by heat', clock: 1100, clock_max: 1980, temperature: 91 });
  card.show(snapshot({ chart: chart([gpu(0), odd, slow]) }), null);
  expect(shownText('.gpuw-Tile')).toEqual(['092 %', '1n/a', '▲ 292 %']);
  const titles = all('.gpuw-Tile > [role=img]').map(node => node.getAttribute('aria-label'));
  expect(titles[1]).toContain('no utilisation: MIG gives no utilisation');
  expect(titles[2]).toBe(
    'GPU 2, busy 92 %, memory 66 / 141 GiB, 91 °C, 1.10 of 1.98 GHz, slowed by heat'
  );
});

it('keeps its tiles when figures change, and drops those that are gone', () => {
  card.show(snapshot({ chart: chart([gpu(0), gpu(1), gpu(2)]) }), null);
  const [first] = all('.gpuw-Tile');
  card.show(snapshot({ chart: chart([gpu(0, { busy: 12 }), gpu(2)]) }), null);
  expect(all('.gpuw-Tile')[0]).toBe(first);
  expect(shownText('.gpuw-Tile')).toEqual(['012 %', '292 %']);
});

it('draws how a large gang spreads, with those apart beside it', () => {
  const band = { p10: [88, null], p50: [92, null], p90: [95, null] };
  const apart = [gpu(5, { rank: 37, busy: 38 })];
  const large = { ...chart(apart), seconds: 120, count: 64, utilisation: band, memory: band };
  card.show(snapshot({ chart: large, rank_count: 64 }), null);
  expect(shownText('.gpuw-Wide')).toEqual([
    'busy p10 88 · p50 92 · p90 95 %last 2 min',
    'memory p10 88 · p50 92 · p90 95 %last 2 min'
  ]);
  expect(shownText('.gpuw-Tile')).toEqual(['3738 %']);
});

it('opens its folds in place, and leaves them open', () => {
  const moments = [{ at: 0, what: 'asked for' }];
  card.show(snapshot({ moments }), null);
  expect(fold('Events').getAttribute('aria-expanded')).toBe('false');
  fold('Events').click();
  expect(shownText('.gpuw-Events li')).toEqual(['0.0 sasked for']);
  card.show(snapshot({ moments: [...moments, { at: 2, what: 'started' }] }), null);
  expect(fold('Events').getAttribute('aria-expanded')).toBe('true');
  expect(shownText('.gpuw-Events li')).toHaveLength(2);
  fold('Events').click();
  expect(shownText('.gpuw-Events li')).toEqual([]);
});

it('opens the table of ranks by itself when a gang has failed, once', () => {
  card.show(snapshot({ ranks: [{ rank: 0 }, { rank: 1 }], rank_count: 2 }), null);
  expect(shownText('.gpuw-Table')).toEqual([]);
  card.show(snapshot(failedGang()), null);
  expect(shownText('.gpuw-Table tbody tr').map(text => text.slice(0, 1))).toEqual(['3', '0']);
  expect(shownText('.gpuw-Ranks > .gpuw-Quiet')).toEqual(['6 more ranks, all stopped by rank 3']);
  expect(shownText('.gpuw-Table th')).toEqual(['rank', 'node', 'phase', 'exit', 'reason']);
  fold('Ranks').click();
  card.show(snapshot({ ...failedGang(), ran: 9 }), null);
  expect(shownText('.gpuw-Table')).toEqual([]);
});

it('has a button for its log only where there is one to be shown', () => {
  const logs = () => all('.gpuw-Buttons button').find(node => node.textContent === 'Logs');
  card.show(snapshot(failedGang()), ACTIONS);
  expect(logs()).toBeUndefined();
  let asked = 0;
  card.show(snapshot(failedGang()), { ...ACTIONS, logs: () => (asked += 1) });
  logs()?.click();
  expect(asked).toBe(1);
});

it('offers to detach what can be, before it is stopped', () => {
  const buttons = () => shownText('.gpuw-Buttons button');
  card.show(snapshot({ phase: 'Queued', word: 'Queued' }), ACTIONS);
  expect(buttons()).toEqual(['Stop']);
  let asked = 0;
  card.show(snapshot({ phase: 'Queued', word: 'Queued' }), {
    ...ACTIONS,
    detach: () => (asked += 1)
  });
  expect(buttons()).toEqual(['Detach', 'Stop']);
  all('.gpuw-Buttons button')[0]?.click();
  expect(asked).toBe(1);
});

it('copies a report of a failure', async () => {
  const copied: string[] = [];
  const clipboard = {
    writeText: (text: string) => {
      copied.push(text);
      return Promise.resolve();
    }
  };
  vi.stubGlobal('navigator', { clipboard });
  card.show(snapshot(failedGang()), null);
  all('.gpuw-Buttons button')[0]?.click();
  await vi.waitFor(() => {
    expect(shownText('.gpuw-Buttons button')).toEqual(['Copied']);
  });
  vi.unstubAllGlobals();
  expect(copied[0]).toContain('what: KeyError, on rank 3 (node-a)');
});

it('is one line when it is done, and opens where there is more', () => {
  const moments = [{ at: 0, what: 'asked for' }];
  const done = { phase: 'Succeeded', word: 'Succeeded', ran: 8.2, moments } as const;
  card.show(snapshot({ ...done, results: [{ name: 'acc', size: 32 }] }), null);
  expect(shownText('.gpuw-Title')).toEqual([
    '✓Succeededtrain · prod / team-a · 8 H200acc came back, 32 B'
  ]);
  expect(shownText('.gpuw-Body, .gpuw-Foot')).toEqual([]);
  all('.gpuw-Head > .gpuw-Fold')[0]?.click();
  fold('Events').click();
  expect(shownText('.gpuw-Events li')).toHaveLength(1);
});

it('draws nothing out of sight, and what it missed when it is seen again', () => {
  card.show(snapshot({ answer: 'one' }), null);
  see(card.node, false);
  card.show(snapshot({ answer: 'two' }), null);
  expect(shownText('.gpuw-Answer')).toEqual(['one']);
  see(card.node, true);
  expect(shownText('.gpuw-Answer')).toEqual(['two']);
});

it('tells a new phase to those who listen, also out of sight, and only that', () => {
  const [status] = all('[aria-live]');
  card.show(snapshot({}), null);
  see(card.node, false);
  card.show(snapshot(failedGang()), null);
  expect(status?.textContent).toBe('Failed');
  const changes = new MutationObserver(() => undefined);
  changes.observe(status ?? document, { childList: true, characterData: true, subtree: true });
  card.show(snapshot({ ...failedGang(), ran: 3 }), null);
  expect(changes.takeRecords()).toEqual([]);
});

it('touches nothing where nothing is new', () => {
  const progress = { label: 'step', done: 3, total: 5, rate: 2 };
  const same = () => snapshot({ progress, ran: 3, chart: chart([gpu(0), gpu(1)]), notes: ['hot'] });
  card.show(same(), ACTIONS);
  const changes = new MutationObserver(() => undefined);
  changes.observe(card.node, {
    attributes: true,
    childList: true,
    characterData: true,
    subtree: true
  });
  card.show(same(), ACTIONS);
  expect(changes.takeRecords().map(record => record.attributeName ?? record.type)).toEqual([]);
});

it('shows code in what to do as code, and nothing in it as markup', () => {
  card.show(snapshot({ phase: 'Pending', hint: 'Ask with `--gpus <b>`, or wait' }), null);
  expect(shownText('code')).toEqual(['--gpus <b>']);
  expect(card.node.textContent).toContain('Ask with --gpus <b>, or wait');
});
