import type { Box } from './canvas';
import { curve, runs, spread } from './sparkline';

const BOX: Box = { width: 100, height: 102, unit: 1 };

/** Notes what is drawn: the places of each stroke and of each area. */
function drawn(draw: (context: CanvasRenderingContext2D) => void): string[] {
  const found: string[] = [];
  let path = '';
  const context = {
    setLineDash: (dashes: number[]) => found.push(`dashes ${dashes.length}`),
    beginPath: () => (path = ''),
    moveTo: (x: number, y: number) => (path += `M${x},${y}`),
    lineTo: (x: number, y: number) => (path += ` ${x},${y}`),
    stroke: () => found.push(`line ${path}`),
    fill: () => found.push(`area ${path}`)
  };
  draw(context as unknown as CanvasRenderingContext2D);
  return found;
}

it('draws only what is known, and a gap where nothing is', () => {
  expect(runs([1, 2, null, null, 3])).toEqual([[[0, 1], [1, 2]], [[4, 3]]]); // prettier-ignore
  expect(runs([])).toEqual([]);
  expect(runs([null, null])).toEqual([]);
});

it('has an axis from 0 to 100 per cent, whatever the figures are', () => {
  const found = drawn(context => {
    curve(context, BOX, [0, 50, 100, 250, -4], 'red');
  });
  expect(found).toContain('line M0,101 25,51 50,1 75,1 100,101');
});

it('draws a dashed line where nothing is known', () => {
  const found = drawn(context => {
    curve(context, BOX, [null, null], 'red');
  });
  expect(found).toEqual(['dashes 2', 'line M0,100 100,100', 'dashes 0']);
});

it('draws how many spread: an area, and the one in the middle', () => {
  const band = { p10: [10, 10, null], p50: [50, 50, null], p90: [90, 90, null] };
  const found = drawn(context => {
    spread(context, BOX, band, 'red');
  });
  expect(found).toEqual(['area M0,11 50,11 50,91 0,91', 'line M0,51 50,51']);
});
