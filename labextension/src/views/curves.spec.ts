import type { Chart, Shown } from '../wire';
import { curvesOf, readout } from './curves';

function shown(chart: Chart, more: Partial<Shown> = {}): Shown {
  return { saved: 'full', chart, ...more };
}

const two = shown({
  seconds: 60,
  count: 2,
  gpus: [
    { rank: 0, gpu: 0, utilisation: [10, 20, null] },
    { rank: 0, gpu: 1, utilisation: [30, null, 50], slowed: 'slowed by heat' }
  ]
});

it('lays curves on seconds that end now', () => {
  const found = curvesOf(two, 'utilisation');
  expect(found.ago).toEqual([-60, -30, 0]);
  expect(found.names).toEqual(['GPU 0', 'GPU 1']);
  expect(found.marks).toEqual([undefined, 'slowed']);
});

it('says every curve at the cursor, with n/a for a gap', () => {
  expect(readout(curvesOf(two, 'utilisation'), 1, null)).toBe('30 s ago · GPU 0 20 % · GPU 1 n/a');
  expect(readout(curvesOf(two, 'utilisation'), null, null)).toBe('GPU 0 n/a · GPU 1 50 %');
});

it('says why there is nothing', () => {
  const chart = { seconds: 60, count: 1, gpus: [{ rank: 0, gpu: 0 }] };
  const missing = { utilisation: 'MIG gives no utilisation' };
  expect(readout(curvesOf(shown({ ...chart, missing }), 'utilisation'), null, null)).toBe(
    'n/a (MIG gives no utilisation)'
  );
});

it('of many says the nearest and the outermost', () => {
  const gpus = Array.from({ length: 16 }, (_, at) => ({ rank: 0, gpu: at, utilisation: [at, at] }));
  const found = curvesOf(shown({ seconds: 10, count: 16, gpus }), 'utilisation');
  expect(readout(found, 0, 7)).toBe(
    '10 s ago · GPU 7 7 % · lowest GPU 0 0 % · highest GPU 15 15 %'
  );
});

it('draws curves that were thinned out on the points of the band', () => {
  const band = { p10: [1, 1, 1, 1], p50: [2, 2, 2, 2], p90: [3, 3, 3, 3] };
  const gpus = [{ rank: 37, gpu: 0, utilisation: [8, 9] }];
  const found = curvesOf(
    shown({ seconds: 9, count: 64, gpus, utilisation: band }, { rank_count: 64 }),
    'utilisation'
  );
  expect(found.names).toEqual(['p10', 'p50', 'p90', 'rank 37']);
  expect(found.points[3]).toEqual([8, 8, 9, 9]);
  expect(found.band).toEqual([0, 2]);
});
