/** What the charts over time are drawn of, and what is said at their cursor. */

import { trans } from '../translation';
import type { GpuSeries, Shown } from '../wire';
import { notKnown, percent } from './format';
import { newest } from './sparkline';
import type { Points } from './sparkline';
import { gpuName, naming } from './words';
import type { Naming } from './words';

export type Measure = 'utilisation' | 'memory';

/** How a curve stands out: by its colour, and by its dashes or what it is drawn on. */
export type Mark = 'slowed' | 'apart' | 'edge' | undefined;

/** Curves on one axis of time. */
export interface Curves {
  /** Seconds to now, oldest first; none is above 0. */
  readonly ago: readonly number[];
  readonly names: readonly string[];
  readonly points: readonly Points[];
  readonly marks: readonly Mark[];

  /** Which two curves are the edges of a band. */
  readonly band: readonly [number, number] | null;

  readonly simulated: boolean;

  /** Why there is nothing to draw. */
  readonly missing: string;
}

/** How many curves are all said at the cursor; of more, the nearest one and the outermost. */
const SAID = 4;

/** The curves of one measure. */
export function curvesOf(shown: Shown, measure: Measure): Curves {
  const chart = shown.chart ?? null;
  const gpus = chart?.gpus ?? [];
  const band = chart?.[measure] ?? null;
  const by = naming(shown);
  const spread: readonly (readonly [string, Points, Mark])[] =
    band === null
      ? []
      : [
          ['p10', band.p10 ?? [], 'edge'],
          ['p50', band.p50 ?? [], undefined],
          ['p90', band.p90 ?? [], 'edge']
        ];
  const each = gpus.map((gpu): readonly [string, Points, Mark] => {
    const slowed = gpu.slowed != null && gpu.slowed !== '';
    const mark = slowed ? 'slowed' : band === null ? undefined : 'apart';
    return [nameOf(gpu, by), gpu[measure] ?? [], mark];
  });
  const all = [...spread, ...each];
  const count = Math.max(2, ...all.map(([, points]) => points.length));
  const seconds = chart?.seconds ?? 0;
  return {
    ago: Array.from({ length: count }, (_, at) => seconds * (at / (count - 1) - 1)),
    names: all.map(([name]) => name),
    points: all.map(([, points]) => filled(points, count)),
    marks: all.map(([, , mark]) => mark),
    band: band === null ? null : [0, 2],
    simulated: shown.simulated === true,
    missing: chart?.missing?.[measure === 'memory' ? 'memory_used' : measure] ?? ''
  };
}

/**
 * What the curves are at a moment.
 *
 * @param at Which point; `null` for the newest.
 * @param focused Which curve is nearest to the cursor; `null` for none.
 */
export function readout(curves: Curves, at: number | null, focused: number | null): string {
  const place = at ?? Math.max(0, ...curves.points.map(newest));
  const known = curves.names
    .map((name, index) => ({ name, index, value: curves.points[index]?.[place] ?? null }))
    .filter(({ value }) => curves.names.length <= SAID + 3 || value !== null);
  if (known.every(({ value }) => value === null)) {
    return notKnown(curves.missing);
  }
  const said = ({ name, value }: { name: string; value: number | null }) =>
    `${name} ${percent(value)}`;
  const when = at === null ? '' : moment(curves.ago[at] ?? 0);
  const nearest = focused === null ? undefined : known.find(({ index }) => index === focused);
  if (curves.band !== null || known.length <= SAID) {
    return [when, ...known.map(said)].filter(Boolean).join(' · ');
  }
  const ordered = [...known].sort((one, other) => (one.value ?? 0) - (other.value ?? 0));
  const [lowest, highest] = [ordered[0], ordered[ordered.length - 1]];
  const outer = [
    lowest && trans.__('lowest %1', said(lowest)),
    highest && trans.__('highest %1', said(highest))
  ];
  return [when, nearest === undefined ? '' : said(nearest), ...outer].filter(Boolean).join(' · ');
}

function nameOf(gpu: GpuSeries, by: Naming): string {
  const name = gpuName(gpu, by);
  return by === 'rank' ? trans.__('rank %1', name) : trans.__('GPU %1', name);
}

function moment(ago: number): string {
  return Math.round(ago) === 0 ? trans.__('now') : trans.__('%1 s ago', Math.round(-ago));
}

/** As many points as all others have: what was thinned out is drawn in steps. */
function filled(points: Points, count: number): Points {
  if (points.length === count) {
    return points;
  }
  const step = (points.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, at) => points[Math.round(at * step)] ?? null);
}
