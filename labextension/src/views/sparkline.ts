/** Figures over time, drawn by hand on an axis from 0 to 100 per cent, with a gap where nothing is known. */

import { trans } from '../translation';
import type { Band } from '../wire';
import type { Box } from './canvas';
import type { Palette } from './palette';

export type Points = readonly (number | null)[];

type Context = CanvasRenderingContext2D;
type Place = readonly [number, number];

const AREA = 0.16;
const BAND = 0.22;
const DASHES = [2, 4];

/** A curve with its area; a dashed line where there is nothing to draw. */
export function curve(context: Context, box: Box, points: Points, colour: string): void {
  const known = runs(points);
  if (known.length === 0) {
    dashed(context, box, colour);
    return;
  }
  for (const run of known) {
    const places = run.map(point => placed(point, points.length, box));
    area(context, [...places, [last(places)[0], box.height], [first(places)[0], box.height]], {
      colour,
      alpha: AREA
    });
    line(context, places, { colour, width: 1.5 * box.unit });
  }
}

/** A curve alone, over others. */
export function thread(context: Context, box: Box, points: Points, colour: string): void {
  for (const run of runs(points)) {
    const places = run.map(point => placed(point, points.length, box));
    line(context, places, { colour, width: 1.25 * box.unit });
  }
}

/** How many curves spread: p10 to p90 filled, and the median. */
export function spread(context: Context, box: Box, band: Band, colour: string): void {
  const [low, middle, high] = [band.p10 ?? [], band.p50 ?? [], band.p90 ?? []];
  const known = runs(middle);
  if (known.length === 0) {
    dashed(context, box, colour);
  }
  for (const run of known) {
    const along = (of: Points) =>
      run.map(([index, value]) => placed([index, of[index] ?? value], middle.length, box));
    area(context, [...along(high), ...along(low).reverse()], { colour, alpha: BAND });
    line(context, along(middle), { colour, width: 1.5 * box.unit });
  }
}

/** What says that all of it is made up, across the drawing. */
export function watermark(context: Context, box: Box, { text }: Palette): void {
  const mark = trans.__('SIMULATED');
  const size = Math.min(11 * box.unit, box.height * 0.5);
  context.font = `600 ${size}px system-ui, sans-serif`;
  if (context.measureText(mark).width > box.width) {
    return; // the tag in the head says it
  }
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillStyle = text;
  context.globalAlpha = 0.3;
  context.fillText(mark, box.width / 2, box.height / 2);
  context.globalAlpha = 1;
}

/** The newest point at which something is known; -1 for none. */
export function newest(points: Points): number {
  let at = points.length - 1;
  while (at >= 0 && points[at] == null) {
    at -= 1;
  }
  return at;
}

/** The stretches in which something is known, each as index and value. */
export function runs(points: Points): Place[][] {
  const found: Place[][] = [];
  let current: Place[] = [];
  points.forEach((value, index) => {
    if (value === null) {
      current = [];
      return;
    }
    if (current.length === 0) {
      found.push(current);
    }
    current.push([index, value]);
  });
  return found;
}

function placed([index, value]: Place, count: number, box: Box): Place {
  const room = box.height - 2 * box.unit;
  return [
    (index / Math.max(1, count - 1)) * box.width,
    box.height - box.unit - (Math.min(100, Math.max(0, value)) / 100) * room
  ];
}

function line(
  context: Context,
  places: readonly Place[],
  { colour, width }: { readonly colour: string; readonly width: number }
): void {
  trace(context, places);
  if (places.length === 1) {
    context.lineTo(first(places)[0] + width, first(places)[1]); // a point would not be seen
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineJoin = 'round';
  context.stroke();
}

function area(
  context: Context,
  places: readonly Place[],
  { colour, alpha }: { readonly colour: string; readonly alpha: number }
): void {
  trace(context, places);
  context.fillStyle = colour;
  context.globalAlpha = alpha;
  context.fill();
  context.globalAlpha = 1;
}

function trace(context: Context, places: readonly Place[]): void {
  context.beginPath();
  places.forEach(([x, y], number) => {
    if (number === 0) {
      context.moveTo(x, y);
    } else {
      context.lineTo(x, y);
    }
  });
}

function dashed(context: Context, box: Box, colour: string): void {
  context.setLineDash(DASHES.map(length => length * box.unit));
  context.globalAlpha = 0.7;
  const y = box.height - 2 * box.unit;
  line(
    context,
    [
      [0, y],
      [box.width, y]
    ],
    { colour, width: box.unit }
  );
  context.globalAlpha = 1;
  context.setLineDash([]);
}

function first(places: readonly Place[]): Place {
  return places[0] ?? [0, 0];
}

function last(places: readonly Place[]): Place {
  return places[places.length - 1] ?? [0, 0];
}
