import { row } from '../testing';
import type { Phase, Row } from '../wire';
import { inWords, seen, since } from './since';

const byId = (...rows: Row[]) => new Map(rows.map(one => [one.id, one]));
const job = (id: string, phase: Phase = 'Running', started = 0) =>
  row(id, { kind: 'job', phase, started });

it('counts what went on when one left and has ended since', () => {
  const before = seen([job('a'), job('b'), job('c'), job('d', 'Failed'), job('e', 'Queued')], 100);
  expect(before).toEqual({ at: 100, going: ['a', 'b', 'c', 'e'] });
  const found = since(
    byId(
      job('a', 'Succeeded'),
      job('b', 'Succeeded'),
      job('c', 'Lost'),
      job('d', 'Failed'),
      job('e')
    ),
    before
  );
  expect(inWords(found)).toBe('Since you left: 2 done, 1 failed');
  expect([...found.workloads]).toEqual(['a', 'b', 'c']);
});

it('counts what was started and has ended since, and not what had ended before', () => {
  const before = seen([], 100);
  const found = since(byId(job('old', 'Succeeded', 50), job('new', 'Stopped', 150)), before);
  expect(inWords(found)).toBe('Since you left: 1 stopped');
});

it('says nothing where nothing has ended', () => {
  expect(inWords(since(byId(job('a')), seen([job('a')], 1)))).toBe('');
  expect(inWords(since(byId(), seen([job('a')], 1)))).toBe(''); // it is not there any more
});

it('counts the runs of a session, and asks for those it tells of no more', () => {
  const going = row('s', {
    runs: [
      { id: 'x', phase: 'Running' },
      { id: 'y', phase: 'Queued' }
    ]
  });
  const before = seen([going], 100);
  expect(before.going).toEqual(['s/x', 's/y']);
  const living = since(
    byId(
      row('s', {
        runs: [
          { id: 'x', phase: 'Succeeded' },
          { id: 'y', phase: 'Running' }
        ]
      })
    ),
    before
  );
  expect(inWords(living)).toBe('Since you left: 1 done');
  const over = byId(row('s', { phase: 'Stopped', runs: [] }));
  expect(since(over, before).open).toEqual(['s/x', 's/y']);
  const asked = since(
    over,
    before,
    new Map([
      ['s/x', 'Failed'],
      ['s/y', 'Succeeded']
    ])
  );
  expect([inWords(asked), asked.open]).toEqual(['Since you left: 1 done, 1 failed', []]);
});
