import { row } from '../testing';
import { attachLine } from './attach';

it('names a job, the run that executes in a session, or the session', () => {
  expect(attachLine(row('a', { kind: 'job' }))).toBe('%gpu attach a --backend local');
  const runs = [
    { id: 'r', phase: 'Succeeded' },
    { id: 's', phase: 'Running' }
  ] as const;
  expect(attachLine(row('b', { backend: 'kubernetes', runs }))).toBe(
    '%gpu attach s --backend kubernetes'
  );
  expect(attachLine(row('c', { runs: runs.slice(0, 1) }))).toBe('%gpu attach c --backend local');
});
