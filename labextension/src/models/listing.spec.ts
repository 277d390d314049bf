import { row } from '../testing';
import type { Row } from '../wire';
import { groupsOf } from './listing';
import type { Filter, Wanted } from './listing';

const NOW = new Date(2026, 5, 10, 9, 0);
const AT = (hour: number, day = 10) => new Date(2026, 5, day, hour, 0).getTime() / 1000;

function groups(rows: Row[], wanted: Partial<Wanted> = {}): [string, string[]][] {
  const all = { word: '', filters: new Set<Filter>(), notebook: '', only: null, ...wanted };
  return groupsOf(rows, all, NOW).map(group => [group.title, group.rows.map(one => one.id)]);
}

it('puts what runs first, then what waits, then what has ended, the newest on top', () => {
  const rows = [
    row('failed', { phase: 'Failed', started: AT(8) }),
    row('one', { started: AT(1) }),
    row('two', { started: AT(2) }),
    row('stopping', { phase: 'Stopping', started: AT(3) }),
    row('waits', { phase: 'Pending' }),
    row('old', { phase: 'Succeeded', started: AT(8, 9) })
  ];
  expect(groups(rows)).toEqual([
    ['Running', ['stopping', 'two', 'one']],
    ['Waiting', ['waits']],
    ['Today', ['failed']],
    ['Before today', ['old']]
  ]);
});

it('counts what was begun yesterday and ended in the night among today', () => {
  const begun = { phase: 'Succeeded', started: AT(18, 9) } as const;
  expect(groups([row('night', { ...begun, waited: 3600, ran: 8 * 3600 })])[0]?.[0]).toBe('Today');
  expect(groups([row('evening', { ...begun, ran: 3600 })])[0]?.[0]).toBe('Before today');
});

it('adds up the GPUs of what has them or waits for them', () => {
  const sums = (...rows: Row[]) =>
    groupsOf(rows, { word: '', filters: new Set(), notebook: '', only: null }, NOW).map(
      group => group.sum
    );
  expect(sums(row('a', { gpu_count: 16 }), row('b', { gpu_count: 5 }), row('c'))).toEqual([
    '21 GPUs'
  ]);
  expect(sums(row('a', { gpu_count: 1, phase: 'Queued' }))).toEqual(['1 GPU']);
  expect(sums(row('a'), row('b', { gpu_count: 4, phase: 'Failed' }))).toEqual(['', '']);
});

it.each([
  ['LLM', 'name'],
  ['explore', 'notebook'],
  ['deep/', 'notebook'],
  ['pytorch', 'image'],
  ['3f9c', 'id'],
  [' sweep ', 'run']
])('finds %j by its %s', (word, id) => {
  const rows = [
    row('name', { name: 'llm-finetune' }),
    row('notebook', { path: 'deep/explore.ipynb', file: 'explore.ipynb', name: 'x' }),
    row('image', { image: 'nvcr.io/pytorch:26.01', name: 'x' }),
    row('id', { name: 'x', id: '3f9c1a2b7d04' }),
    row('run', { name: 'x', runs: [{ id: 'r', name: 'sweep-3' }] })
  ];
  const found = rows.find(one => one.id === id || (id === 'id' && one.id.startsWith('3f')));
  expect(groups(rows, { word })[0]?.[1]).toEqual([found?.id]);
});

it('narrows to a notebook, to what failed, to what idles, and to both of these', () => {
  const rows = [
    row('here', { path: 'a.ipynb' }),
    row('failed', { phase: 'Failed', path: 'b.ipynb', started: AT(8) }),
    row('lost', { phase: 'Lost', started: AT(7) }),
    row('idle', { word: 'Idle', runs: [{ id: 'r', phase: 'Failed' }, { id: 's' }] }),
    row('cell', {
      word: 'Idle',
      path: 'a.ipynb',
      runs: [{ id: 's' }, { id: 'r', phase: 'Failed' }]
    })
  ];
  const ids = (filters: Filter[], notebook = '') =>
    groups(rows, { filters: new Set(filters), notebook }).flatMap(([, found]) => found);
  expect(ids(['notebook'], 'a.ipynb')).toEqual(['here', 'cell']);
  expect(ids(['failed'])).toEqual(['cell', 'failed', 'lost']);
  expect(ids(['idle'])).toEqual(['idle', 'cell']);
  expect(ids(['failed', 'idle'])).toEqual(['idle', 'cell', 'failed', 'lost']);
  expect(ids(['notebook', 'failed'], 'a.ipynb')).toEqual(['cell']);
  expect(ids(['notebook'])).toHaveLength(5);
});

it('shows only those that are asked for', () => {
  expect(groups([row('a'), row('b')], { only: new Set(['b']) })).toEqual([['Running', ['b']]]);
});
