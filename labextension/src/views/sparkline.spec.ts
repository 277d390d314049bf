import { runs } from './sparkline';

it('leaves a gap where nothing is known', () => {
  expect(runs([null, 1, 2, null, null, 5])).toEqual([
    [
      [1, 1],
      [2, 2]
    ],
    [[5, 5]]
  ]);
  expect(runs([null])).toEqual([]);
});
