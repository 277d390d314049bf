import { Widget } from '@lumino/widgets';

import { row, TestRuns } from '../testing';
import { RunsPanel } from './panel';

let runs: TestRuns;
let panel: RunsPanel;

beforeEach(() => {
  runs = new TestRuns();
  panel = new RunsPanel(runs);
  Widget.attach(panel, document.body);
  panel.hide();
  panel.show();
});

afterEach(() => {
  panel.dispose();
});

const groups = () =>
  [...panel.node.querySelectorAll<HTMLElement>('.gpuw-Group')]
    .filter(heading => !heading.hidden)
    .map(heading => heading.textContent);

const names = () =>
  [...panel.node.querySelectorAll('.gpuw-Row strong')].map(node => node.textContent);

it('follows the list and the capacity only while it is shown', () => {
  expect(runs.asked.sort()).toEqual(['follow', 'follow capacity']);
  panel.hide();
  expect(runs.asked.sort()).toEqual(['follow', 'follow capacity', 'leave', 'leave capacity']);
});

it('puts what runs first, the newest on top', () => {
  runs.say(
    row('old', { phase: 'Failed' }),
    row('one', { started: 1 }),
    row('two', { started: 2 }),
    row('wait', { phase: 'Queued' })
  );
  expect(groups()).toEqual(['Running · 2', 'Waiting · 1', 'Ended · 1']);
  expect(names()).toEqual(['two', 'one', 'wait', 'old']);
});

it('moves a row to where it belongs, and keeps the focus of one that stays', () => {
  runs.say(row('one'), row('two'));
  const stop = panel.node.querySelector<HTMLElement>('[aria-label="Stop two"]');
  stop?.focus();
  runs.say(row('one', { phase: 'Succeeded' }), row('two', { answer: 'goes on' }));
  expect(document.activeElement).toBe(stop);
  expect(groups()).toEqual(['Running · 1', 'Ended · 1']);
  runs.say(row('two'));
  expect(names()).toEqual(['two']);
});

it('finds what was typed', () => {
  runs.say(row('train', { image: 'pytorch' }), row('other'));
  const search = panel.node.querySelector('input') as unknown as HTMLInputElement;
  search.value = 'PyT';
  search.dispatchEvent(new Event('input'));
  expect(names()).toEqual(['train']);
  search.value = 'nothing';
  search.dispatchEvent(new Event('input'));
  expect(panel.node.textContent).toContain('Nothing goes by that');
});

it('stops a run, and says why it could not', async () => {
  runs.say(row('bad'), row('done', { phase: 'Stopped' }));
  panel.node.querySelector<HTMLElement>('[aria-label="Stop bad"]')?.click();
  expect(runs.asked).toContain('stop bad');
  await vi.waitFor(() => {
    expect(panel.node.textContent).toContain('It cannot be');
  });
  expect(panel.node.querySelector<HTMLElement>('[aria-label="Stop done"]')?.hidden).toBe(true);
});

it('says what to do where nothing has run, and where nobody answers', () => {
  runs.say();
  expect(panel.node.textContent).toContain('Write %%gpu over a cell');
  runs.connection = { state: 'missing', why: 'The server has no extension', fix: 'Enable it' };
  runs.connectionChanged.emit(runs.connection);
  expect(panel.node.textContent).toContain('The server has no extension. Enable it');
});

it.each(['<img src=x onerror=alert(1)>', '<script>alert(1)</script>'])('shows %s as text', bad => {
  runs.say(row('x', { name: bad, answer: bad, image: bad, gpus: bad }));
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
