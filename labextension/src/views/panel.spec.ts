import { Widget } from '@lumino/widgets';

import { row, TestRuns } from '../testing';
import type { Since } from '../models/since';
import { RunsPanel } from './panel';

let runs: TestRuns;
let panel: RunsPanel;
let asked: string[];

beforeEach(() => {
  runs = new TestRuns();
  asked = [];
  panel = new RunsPanel(runs, {
    open: one => asked.push(`open ${one.id}`),
    notebook: one => asked.push(`notebook ${one.id}`),
    attach: one => asked.push(`attach ${one.id}`)
  });
  Widget.attach(panel, document.body);
  panel.hide();
  panel.show();
});

afterEach(() => {
  panel.dispose();
});

const groups = () =>
  [...panel.node.querySelectorAll('.gpuw-Group')].map(heading => heading.textContent);
const names = () => [...panel.node.querySelectorAll('.gpuw-RowName')].map(node => node.textContent);
const find = (label: string) =>
  panel.node.querySelector<HTMLButtonElement>(`[aria-label="${label}"]`);
const chip = (label: string) =>
  [...panel.node.querySelectorAll<HTMLButtonElement>('.gpuw-Chip')].find(
    node => node.textContent === label
  );
const press = (key: string) =>
  document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));

function type(word: string): void {
  const search = panel.node.querySelector('input') as unknown as HTMLInputElement;
  search.value = word;
  search.dispatchEvent(new Event('input'));
}

it('follows the list and the capacity only while it is shown', () => {
  expect(runs.asked.sort()).toEqual(['follow', 'follow capacity']);
  panel.hide();
  expect(runs.asked.sort()).toEqual(['follow', 'follow capacity', 'leave', 'leave capacity']);
});

it('says which rows are on the screen, so that the others cost nothing', () => {
  runs.say(...Array.from({ length: 500 }, (_, n) => row(`run-${n}`, { started: 500 - n })));
  expect(runs.seen[0]).toBe('run-0');
  expect(runs.seen.length).toBe(names().length);
  type('run-499');
  expect(runs.seen).toEqual(['run-499']);
  panel.hide();
  expect(runs.seen).toEqual([]);
});

it('shows groups with what they have in all', () => {
  runs.say(
    row('old', { phase: 'Failed' }),
    row('one', { started: 1, gpu_count: 16 }),
    row('two', { started: 2, gpu_count: 5 }),
    row('wait', { phase: 'Queued' })
  );
  expect(groups()).toEqual(['Running · 221 GPUs', 'Waiting · 1', 'Before today · 1']);
  expect(names()).toEqual(['two', 'one', 'wait', 'old']);
});

it('moves a row to where it belongs, and keeps the focus of one that stays', () => {
  runs.say(row('one', { started: 2 }), row('two', { started: 1 }), row('three'));
  const stop = find('Stop two');
  stop?.focus();
  runs.say(
    row('one', { phase: 'Succeeded' }),
    row('two', { answer: 'goes on' }),
    row('new', { started: 9 })
  );
  expect(document.activeElement).toBe(stop);
  expect(names()).toEqual(['new', 'two', 'one']);
});

it('touches only the rows that have changed', () => {
  const [one, two] = [row('one'), row('two')];
  runs.say(one, two);
  const figures = () => [...panel.node.querySelectorAll('.gpuw-RowHead > .gpuw-Quiet')];
  const before = figures().map(node => node.firstChild);
  runs.say(one, { ...two, busy: 40 });
  const after = figures().map(node => node.firstChild);
  expect(after.filter((node, place) => node === before[place])).toHaveLength(1);
});

it('has of a thousand rows those in the page that can be seen', () => {
  runs.say(...Array.from({ length: 1000 }, (_, place) => row(`r${place}`, { started: -place })));
  expect(groups()).toEqual(['Running · 1000']);
  expect(names().length).toBeLessThan(60);
  const list = panel.node.querySelector('.gpuw-List') as unknown as HTMLElement;
  list.scrollTop = 40_000;
  list.dispatchEvent(new Event('scroll'));
  expect(names()).not.toContain('r0');
  expect(names().length).toBeGreaterThan(10);
  expect(names().every(name => Number(name.slice(1)) > 500)).toBe(true);
});

it('is gone through with the keyboard, and Tab comes to one row', () => {
  runs.say(
    row('one', { started: 2 }),
    row('two', { started: 1 }),
    row('wait', { phase: 'Queued' })
  );
  const reached = () =>
    [...panel.node.querySelectorAll<HTMLElement>('.gpuw-RowName')]
      .filter(node => node.tabIndex === 0)
      .map(node => node.textContent);
  expect(reached()).toEqual(['one']);
  panel.node.querySelector<HTMLElement>('.gpuw-RowName')?.focus();
  const went = ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'Home', 'End'].map(key => {
    press(key);
    return document.activeElement?.textContent;
  });
  expect(went).toEqual(['two', 'wait', 'wait', 'two', 'one', 'wait']);
  expect(reached()).toEqual(['wait']);
});

it('finds what was typed', () => {
  runs.say(row('train', { image: 'pytorch' }), row('other'));
  type('PyT');
  expect(names()).toEqual(['train']);
  type('nothing');
  expect(panel.node.textContent).toContain('Nothing goes by that');
});

it('narrows to the open notebook, to what failed and to what idles', () => {
  runs.say(
    row('here', { path: 'a.ipynb', started: 3 }),
    row('idle', { word: 'Idle', started: 2 }),
    row('bad', { phase: 'Failed' })
  );
  expect(chip('This notebook')?.disabled).toBe(true);
  panel.setNotebook('a.ipynb');
  chip('This notebook')?.click();
  expect(names()).toEqual(['here']);
  chip('This notebook')?.click();
  chip('Idle')?.click();
  chip('Failed')?.click();
  expect(names()).toEqual(['idle', 'bad']);
  expect(chip('Idle')?.getAttribute('aria-pressed')).toBe('true');
});

it('says what has ended since, shows those alone, and is dismissed', () => {
  const found: Since = { done: 2, failed: 1, stopped: 0, workloads: new Set(['b']), open: [] };
  runs.say(row('a'), row('b', { phase: 'Failed' }));
  panel.setSince(found);
  const line = panel.node.querySelector('.gpuw-Since') as unknown as HTMLElement;
  const text = line.querySelector('button') as unknown as HTMLButtonElement;
  expect(text.textContent).toBe('Since you left: 2 done, 1 failed');
  text.click();
  expect(names()).toEqual(['b']);
  text.click();
  expect(names()).toEqual(['a', 'b']);
  text.click();
  find('Dismiss')?.click();
  expect([line.hidden, names()]).toEqual([true, ['a', 'b']]);
});

it('opens a row, its notebook, and attaches it', () => {
  runs.say(row('a', { file: 'explore.ipynb' }), row('b'));
  panel.node.querySelector<HTMLElement>('.gpuw-Row')?.click();
  find('Notebook a')?.click();
  find('Attach a')?.click();
  expect(asked).toEqual(['open a', 'notebook a', 'attach a']);
  expect(find('Notebook b')?.hidden).toBe(true);
});

it('stops a run, and says why it could not', async () => {
  runs.say(row('bad'), row('done', { phase: 'Stopped' }));
  find('Stop bad')?.click();
  expect(runs.asked).toContain('stop bad');
  expect(asked).toEqual([]);
  await vi.waitFor(() => {
    expect(panel.node.querySelector('[role=alert]')?.textContent).toContain('It cannot be');
  });
  expect(find('Stop done')?.hidden).toBe(true);
});

it('keeps an idle session, and only that', () => {
  runs.say(row('idle', { word: 'Idle' }), row('busy'));
  expect([find('Keep idle')?.hidden, find('Keep busy')?.hidden]).toEqual([false, true]);
  find('Keep idle')?.click();
  expect(runs.asked).toContain('keep idle');
});

it('offers no guest to stop or to keep', () => {
  runs.mayAct = false;
  runs.say(row('a', { word: 'Idle' }));
  expect([find('Stop a')?.hidden, find('Keep a')?.hidden]).toEqual([true, true]);
});

it('says for how long it has been busy, and what it has cost', () => {
  const figures = { busy: 92, cost: '3.10 €' };
  runs.say(
    row('job', { ...figures, kind: 'job', ran: 754 }),
    row('session', { ...figures, runs: [{ id: 'r', phase: 'Running', ran: 40 }] }),
    row('free', { busy: 92 })
  );
  const [job, session, free] = panel.node.querySelectorAll('.gpuw-Row');
  expect(job?.getAttribute('aria-label')).toBe('job, Busy, GPU 92 % · for 13 min, 3.10 €');
  expect(job?.getAttribute('title')).toContain('3.10 € so far');
  expect(session?.getAttribute('aria-label')).toBe('session, Busy, GPU 92 % · for 40 s, 3.10 €');
  expect(free?.querySelector('.gpuw-RowCost')).toHaveProperty('hidden', true);
});

it('says how far a Dask cluster is, and with how many workers', () => {
  const cluster = { kind: 'dask', gpus: '4 workers × 1 H200', gpu_count: 4, busy: 46 } as const;
  const progress = { label: '', done: 1204, total: 9600, unit: 'tasks', seconds_left: 112 };
  const file = 'etl.ipynb';
  runs.say(
    row('etl', { ...cluster, word: 'Running', progress, trend: [40, 46], file, started: 3 }),
    row('idle', { ...cluster, word: 'Idle', answer: '4 workers, no tasks', file, started: 2 }),
    row('cpu', { kind: 'dask', word: 'Running', gpus: '3 workers · CPU', trend: [90], progress })
  );
  const said = [...panel.node.querySelectorAll('.gpuw-Row')].map(node => [
    node.querySelector('.gpuw-RowHead > .gpuw-Quiet')?.textContent,
    node.querySelector('.gpuw-RowBody > .gpuw-Quiet')?.textContent,
    node.querySelector('.gpuw-Trend:not([hidden])')?.getAttribute('aria-label')
  ]);
  expect(said).toEqual([
    [
      '13 % · about 1 min 52 s',
      '1,204 / 9,600 tasks · 4 workers × 1 H200 · this machine · etl.ipynb',
      'GPU use of etl: 46 %'
    ],
    ['idle', '4 workers, no tasks · etl.ipynb', undefined],
    [
      '13 % · about 1 min 52 s',
      '1,204 / 9,600 tasks · 3 workers · CPU · this machine',
      'Busy threads of cpu'
    ]
  ]);
  chip('Idle')?.click();
  expect(names()).toEqual(['idle']);
  expect(find('Keep idle')?.hidden).toBe(true);
  runs.say(row('idle', { ...cluster, word: 'Idle', ending: { name: 'idle', seconds: 840 } }));
  expect(find('Keep idle')?.hidden).toBe(false);
});

it('says what to do where nothing has run, and where nobody answers', () => {
  runs.say();
  expect(panel.node.textContent).toContain('Write %%gpu over a cell');
  runs.connection = { state: 'missing', why: 'The server has no extension', fix: 'Enable it' };
  runs.connectionChanged.emit(runs.connection);
  expect(panel.node.textContent).toContain('The server has no extension. Enable it');
});

it.each(['<img src=x onerror=alert(1)>', '<script>alert(1)</script>'])('shows %s as text', bad => {
  const line = { id: 'r', name: bad, phase: 'Running' } as const;
  runs.say(
    row('x', { name: bad, answer: bad, image: bad, gpus: bad, file: bad, path: bad, runs: [line] })
  );
  expect(panel.node.querySelector('img, script')).toBeNull();
  expect(names()).toEqual([bad]);
});

it('says which backend cannot be asked, and why', () => {
  const target = { name: 'kubernetes', error: 'The cluster is away' };
  runs.targets?.({ kind: 'value', value: new Map([['kubernetes', target]]) });
  expect(panel.node.textContent).toContain('kubernetes: The cluster is away');
  runs.targets?.({ kind: 'value', value: new Map([['kubernetes', { name: 'kubernetes' }]]) });
  expect(panel.node.textContent).not.toContain('away');
});

it('says once that versions differ', () => {
  runs.say();
  expect(panel.node.textContent).not.toContain('gpu-workbench');
  runs.versions.saw('9.1.0');
  expect(panel.node.textContent).toContain("The notebook's kernel has gpu-workbench 9.1.0");
});
