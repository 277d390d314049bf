import { row } from '../testing';
import type { Row, RunLine } from '../wire';
import { noticeText } from '../views/notice';
import { Notices } from './notices';

const THRESHOLD = 120;

/** What the lists, one after the other, gave notice of. */
function told(...lists: Row[][]): string[] {
  const notices = new Notices();
  return lists.flatMap(rows => notices.take(rows, THRESHOLD, 1000).map(noticeText));
}

const job = (members: Partial<Row>) =>
  row('a', { kind: 'job', name: 'train', started: 0, ...members });
const cell = (...runs: RunLine[]) => row('s', { file: 'explore.ipynb', started: 990, runs });

it('tells that a job that waited long has started', () => {
  expect(told([job({ phase: 'Queued' })], [job({ phase: 'Running' })])).toEqual([
    'train has started after 16:40'
  ]);
  const soon = { started: 950 };
  expect(told([job({ phase: 'Queued', ...soon })], [job({ phase: 'Running', ...soon })])).toEqual(
    []
  );
});

it.each([
  ['Succeeded', 'train is done after 5:00'],
  ['Failed', 'train failed after 5:00'],
  ['Lost', 'train was lost after 5:00']
] as const)('tells that a long job has %s', (phase, text) => {
  expect(told([job({})], [job({ phase, ran: 300 })])).toEqual([text]);
  expect(told([job({})], [job({ phase, ran: 60 })])).toEqual([]);
});

it('counts its waiting', () => {
  expect(told([job({})], [job({ phase: 'Failed', waited: 100, ran: 30 })])).toEqual([
    'train failed after 2:10'
  ]);
});

it('tells of the runs of a session, by the name of the run or of its notebook', () => {
  const going: RunLine = { id: 'r', phase: 'Running', ran: 200 };
  expect(told([cell(going)], [cell({ ...going, phase: 'Succeeded' })])).toEqual([
    'explore.ipynb is done after 3:20'
  ]);
  expect(
    told([cell({ ...going, name: 'eval' })], [cell({ ...going, name: 'eval', phase: 'Failed' })])
  ).toEqual(['eval failed after 3:20']);
  const numbered = { ...going, name: '[7]' };
  expect(told([cell(numbered)], [cell({ ...numbered, phase: 'Failed' })])).toEqual([
    'explore.ipynb [7] failed after 3:20'
  ]);
});

it('tells of a run that has waited long behind others', () => {
  const waits: RunLine = { id: 'r', phase: 'Queued' };
  expect(told([cell(waits)], [cell({ id: 'r', phase: 'Running', waited: 400, ran: 0 })])).toEqual([
    'explore.ipynb has started after 6:40'
  ]);
});

it('tells of a session that has come to life after long', () => {
  const waits = row('s', { name: 'default', started: 0, phase: 'Pending' });
  expect(told([waits], [{ ...waits, phase: 'Running', word: 'Idle' }])).toEqual([
    'Session default has started after 16:40'
  ]);
});

it('tells that a session was lost, once: with its run, where one went on', () => {
  const idle = row('s', { name: 'default', file: 'a.ipynb', started: 0, word: 'Idle' });
  expect(told([idle], [{ ...idle, phase: 'Lost' }])).toEqual([
    'Session default of a.ipynb was lost after 16:40'
  ]);
  expect(told([idle], [{ ...idle, phase: 'Succeeded' }])).toEqual([]);
  const busy = { ...idle, runs: [{ id: 'r', name: 'eval', phase: 'Running', ran: 200 }] } as const;
  const lost = { ...busy, phase: 'Lost', runs: [{ ...busy.runs[0], phase: 'Lost' }] } as const;
  expect(told([busy], [lost])).toEqual(['eval was lost after 3:20']);
});

it('says nothing of what had ended or begun before this page looked, nor twice', () => {
  const over = job({ phase: 'Succeeded', ran: 300 });
  expect(told([over], [over])).toEqual([]);
  expect(told([], [over])).toEqual([]);
  expect(told([job({})], [over], [over])).toHaveLength(1);
});

it('says nothing of what somebody stopped', () => {
  expect(told([job({})], [job({ phase: 'Stopped', ran: 300 })])).toEqual([]);
});

it('names each event the same in every tab', () => {
  const notices = new Notices();
  notices.take([job({})], THRESHOLD, 1000);
  const [notice] = notices.take([job({ phase: 'Failed', ran: 300 })], THRESHOLD, 1000);
  expect([notice?.key, notice?.kind]).toEqual(['a ended', 'failed']);
});
