import { pathsOf, Trend } from './trend';

it('goes from 0 at the bottom to 100 at the top, from the oldest to the newest', () => {
  expect(pathsOf([0, 50, 100])).toEqual({
    line: 'M0 17L36 9L72 1',
    area: 'M0 18L0 17L36 9L72 1L72 18Z'
  });
});

it('has a gap where nothing is known, and no figure that is none', () => {
  expect(pathsOf([0, 0, null, 100, 100]).line).toBe('M0 17L18 17M54 1L72 1');
  expect(pathsOf([null, null])).toEqual({ line: '', area: '' });
  expect(pathsOf([])).toEqual({ line: '', area: '' });
  expect(pathsOf([-20, 900]).line).toBe('M0 17L72 1');
});

it('says what it shows', () => {
  const trend = new Trend();
  trend.draw([1], 'GPU use of train: 1 %');
  expect(trend.node.getAttribute('aria-label')).toBe('GPU use of train: 1 %');
});
