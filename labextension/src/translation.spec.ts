import { nullTranslator } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { LogFeed } from './models/feed';
import { LogLines } from './models/log';
import { row, TestRuns } from './testing';
import { trans, useTranslator } from './translation';
import type { GpuSeries, Shown, Snapshot, StartOptions, StartPlan } from './wire';
import { LogView } from './views/log';
import { noticeText } from './views/notice';
import { RunView } from './views/output';
import { RunsPanel } from './views/panel';
import { StartView } from './views/start';

const english = nullTranslator.load('');
const marked = {
  __: (...said: Parameters<typeof english.__>) => `‹${english.__(...said)}›`,
  _n: (...said: Parameters<typeof english._n>) => `‹${english._n(...said)}›`
} as unknown as TranslationBundle;

beforeEach(() => {
  useTranslator({ languageCode: 'xx', load: () => marked });
});

afterEach(() => {
  useTranslator(null);
  document.body.replaceChildren();
});

/** Words to read, for eyes or by name, that were not translated; without what is not ours: that is in CAPITALS here. */
function untranslated(node: Element): string[] {
  const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  const found: string[] = [];
  while (texts.nextNode() !== null) {
    found.push(texts.currentNode.textContent ?? '');
  }
  for (const one of node.querySelectorAll('*')) {
    const names = ['title', 'aria-label', 'placeholder', 'aria-valuetext'];
    found.push(...names.map(name => one.getAttribute(name) ?? ''));
  }
  const words = found.flatMap(text => rest(text).match(/\p{L}+/gu) ?? []);
  return [...new Set(words)].filter(word => word !== word.toUpperCase()).sort();
}

/** A text without what was translated: one in another, or cut by an element in it. */
function rest(text: string): string {
  const less = text.replace(/‹[^‹›]*(›|$)|^[^‹›]*›/g, '');
  return less === text ? text : rest(less);
}

const GPU: GpuSeries = { rank: 0, gpu: 0, busy: 92, utilisation: [90, 92], memory: [40, 47] };

/** The view of a run in a cell, with all of it open. */
function card(members: Partial<Shown>): Element {
  const runs = new TestRuns();
  const view = new RunView(runs, () => undefined);
  Widget.attach(view, document.body);
  view.follow('abc', 'r');
  const shown: Shown = { saved: 'full', phase: 'Running', word: 'WORD', name: 'NAME', ...members };
  const where = { backend: 'kubernetes', session: 'SESSION', namespace: 'SPACE' };
  const found: Snapshot = { version: 1, id: 'abc', run: 'r', where, snapshot: shown };
  runs.views.get('abc/r')?.({ kind: 'value', value: found });
  for (const fold of view.node.querySelectorAll<HTMLElement>('.gpuw-Fold')) {
    fold.click();
  }
  return view.node;
}

it('asks for the language anew when a translator is there', () => {
  expect(trans.__('%1 lines', 2)).toBe('‹2 lines›');
  useTranslator(null);
  expect(trans.__('%1 lines', 2)).toBe('2 lines');
});

it('translates the card of a run that goes on', () => {
  const gpus = [GPU, { ...GPU, gpu: 1, slowed: 'THERMAL' }];
  const node = card({
    progress: { label: '', done: 12, total: 50, unit: 'UNIT', seconds_left: 90 },
    chart: { seconds: 120, count: 2, busy: 92, gpus },
    moments: [{ at: 1.5, what: 'EVENT' }],
    simulated: true,
    waited: 3,
    ran: 8
  });
  expect(untranslated(node)).toEqual(['s']); // of seconds, as in every language
  expect(node.textContent).toContain('‹session SESSION›');
});

it('translates the card of a gang that failed', () => {
  const failure = { cause: 'exited', what: 'WHY', exit_code: 1, rank: 3, detail: 'LINE' } as const;
  const stopped = { cause: 'stopped', what: 'WHY' } as const;
  const node = card({
    phase: 'Failed',
    answer: 'WHY, WHERE',
    failure,
    ranks: [
      { rank: 3, phase: 'Failed', host: 'HOST', failure },
      { rank: 0, phase: 'Stopped', failure: stopped }
    ],
    rank_count: 8
  });
  expect(untranslated(node)).toEqual(['Failed', 'Stopped']); // phases are the server's words
});

it('translates the card of a Dask cluster', () => {
  const worker = { name: 'NAME', note: 'NOTE', threads: 2, spilled: 9, sent: 9, gpus: 1, busy: 9 };
  const tasks = {
    done: 1,
    failed: 1,
    running: 1,
    waiting: 1,
    rate: 2,
    groups: [{ name: 'GROUP', done: 1, total: 2 }]
  };
  const past = { seconds: 120, busy: [1, 2], rate: [1, 2] };
  const dask = { count: 12, tasks, workers: [worker], rest: { threads: 9 }, past, dashboard: true };
  const node = card({
    kind: 'dask',
    dask: { ...dask, all: worker, clients: 2, moved: 9 },
    progress: { label: '', done: 1, total: 4, unit: 'UNIT' }
  });
  expect(untranslated(node)).toEqual(['Dask', 's']); // its name, and bytes a second
  expect(node.textContent).toContain('‹and 11 more›');
  const without = card({ kind: 'dask', dask: { ...dask, all: { threads: 2 } } });
  expect(untranslated(without)).toEqual(['Dask']);
});

it('translates the panel, with capacity', () => {
  const runs = new TestRuns();
  const ignore = () => undefined;
  const panel = new RunsPanel(runs, { open: ignore, notebook: ignore, attach: ignore });
  Widget.attach(panel, document.body);
  panel.hide();
  panel.show();
  runs.say(row('ID', { name: 'NAME', file: 'FILE', word: 'WORD', gpu_count: 2, busy: 50 }));
  const kind = { name: 'KIND', resource: 'RESOURCE', total: 8, mine: 2, others: 3, free: 3 };
  const unseen = ['nodes', 'pods', 'resourcequotas', 'OTHER'];
  const capacity = {
    namespace: 'SPACE',
    kinds: [
      { ...kind, closed: 1 },
      { name: 'KIND', resource: 'RESOURCE', mine: 1 }
    ],
    waiting: [{ name: 'KIND', mine: 1, others: 2 }],
    quotas: [{ name: 'QUOTA', resource: 'RESOURCE', used: 1, hard: 2 }],
    unseen: unseen.map(resource => ({ verb: 'list', resource, namespace: '' })),
    starting: 2
  };
  runs.capacity?.({
    kind: 'value',
    value: new Map([['kubernetes', { name: 'kubernetes', capacity }]])
  });
  panel.setSince({ done: 2, failed: 1, stopped: 0, workloads: new Set(['ID']), open: [] });
  expect(untranslated(panel.node)).toEqual([]);
  runs.say();
  expect(untranslated(panel.node)).toEqual([]);
});

it('translates the viewer of a log', () => {
  const lines = new LogLines();
  lines.append('stdout', 'LINE\n');
  const feed = { changed: { connect: vi.fn(), disconnect: vi.fn() }, why: '' };
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(180);
  vi.spyOn(window, 'requestAnimationFrame').mockImplementation(draw => {
    draw(0);
    return 1;
  });
  const view = new LogView(lines, feed as unknown as LogFeed, '/file');
  document.body.append(view.node);
  expect(view.node.textContent).toContain('‹1 line›');
  expect(untranslated(view.node)).toEqual(['Aa']);
  view.dispose();
  vi.restoreAllMocks();
});

it('translates the form that starts a session', async () => {
  const runs = new TestRuns();
  const options: StartOptions = {
    target: 'local',
    fields: [
      { key: 'gpus', label: 'LABEL', help: 'HELP' },
      { key: 'env', label: 'LABEL', help: 'HELP', many: true, example: 'EXAMPLE' }
    ],
    targets: [
      {
        name: 'local',
        title: 'TITLE',
        profile: 'PROFILE',
        profiles: [{ name: 'PROFILE', defaults: { gpus: '1' } }]
      }
    ]
  };
  const plan: StartPlan = {
    words: 'PLAN',
    name: 'NAME',
    idle_limit: 3600,
    price: 1,
    currency: '€'
  };
  runs.startOptions = () => Promise.resolve(options);
  runs.planStart = () => Promise.resolve(plan);
  runs.start = () => Promise.resolve({ id: 'ID', name: 'NAME', line: '%%gpu' });
  const view = new StartView(runs, { opener: document.createElement('button'), folder: () => '' });
  document.body.append(view.node);
  view.open();
  await vi.waitFor(() => {
    expect(view.node.textContent).toContain('PLAN');
  });
  expect(untranslated(view.node)).toEqual([]);
  view.node.querySelector('form')?.requestSubmit();
  await vi.waitFor(() => {
    expect(view.node.querySelector('code')).not.toBeNull();
  });
  expect(untranslated(view.node)).toEqual(['ext', 'gpu', 'load', 'workbench']); // code;
});

it('translates notices', () => {
  for (const kind of ['started', 'done', 'failed', 'lost'] as const) {
    const notice = { key: '', kind, name: 'NAME', after: 2, row: row('ID'), run: '' };
    expect(noticeText(notice)).toMatch(/^‹NAME .+ 2\.0 s›$/);
  }
});
