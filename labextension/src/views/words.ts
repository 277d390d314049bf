/** The sentences of a card, as `surfaces/view/lines.py` writes them. */

import { ended, waits } from '../models/phases';
import { trans } from '../translation';
import type { Chart, GpuSeries, Progress, RankLine, Shown, Where } from '../wire';
import { daskFigures } from './daskwords';
import { clocks, count, gpuHours, memory, notKnown, percent, rate, seconds } from './format';

/** A word and its figure; the number alone is set off. */
export interface Figure {
  readonly word: string;
  readonly figure: string;

  /** Of which part of a bar of tasks it is said. */
  readonly key?: 'run' | 'wait' | 'fail';
}

/** Where it runs, part by part. */
export function place(shown: Shown, where: Where): string[] {
  const parts: string[] = [];
  const kind = shown.kind ?? 'session';
  if (kind !== 'session') {
    parts.push(kind === 'dask' ? 'Dask' : kind);
  } else if (where.session != null && where.session !== '') {
    parts.push(trans.__('session %1', where.session));
  }
  const cluster = [where.context, where.namespace].filter(Boolean).join(' / ');
  if (cluster !== '' || where.backend !== 'local') {
    parts.push(cluster === '' ? where.backend : cluster);
  }
  const gpus = where.gpus ?? '';
  const all = shown.rank_count ?? 0;
  const ranks = all > 1 ? trans._n('%2 rank', '%2 ranks', all, count(all)) : '';
  parts.push(ranks !== '' && gpus !== '' ? trans.__('%1 on %2', ranks, gpus) : ranks + gpus);
  if (where.backend === 'local' && !gpus.includes('this machine')) {
    parts.push(trans.__('this machine'));
  }
  return parts.filter(Boolean);
}

/** Which rank failed first, where there are several. */
export function failedFirst(shown: Shown): string {
  const several = (shown.rank_count ?? 0) > 1;
  return several && shown.phase === 'Failed' && shown.failure != null
    ? trans.__('rank %1 first', shown.failure.rank ?? 0)
    : '';
}

/** What went wrong, and where and when: only the first is coloured. */
export function failure(shown: Shown): readonly [string, string] {
  const answer = shown.answer ?? '';
  const what = shown.failure?.what ?? '';
  return what !== '' && answer.startsWith(what) ? [what, answer.slice(what.length)] : [answer, ''];
}

/** `epoch 2: `, `1,240`, ` / 5,000 steps`. */
export function progressed(progress: Progress): readonly [string, string, string] {
  const unit = progress.unit == null || progress.unit === 'it' ? '' : ` ${progress.unit}`;
  const total = progress.total == null ? '' : ` / ${count(progress.total)}`;
  const colon = /\d$/.test(progress.label) ? ':' : '';
  const label = progress.label === '' ? '' : `${progress.label}${colon} `;
  return [label, count(progress.done), `${total}${unit}`];
}

/** Per cent done; `null` where the end is not known. */
export function share(progress: Progress): number | null {
  const { done, total } = progress;
  return total == null || total <= 0 ? null : Math.min(100, Math.max(0, (100 * done) / total));
}

/** Speed, and what all GPUs have in common. */
export function figures(shown: Shown): Figure[] {
  if (shown.dask != null) {
    return daskFigures(shown.dask);
  }
  const found: Figure[] = [];
  const speed = shown.progress == null ? '' : rate(shown.progress);
  if (speed !== '') {
    found.push({ word: '', figure: speed });
  }
  const { chart } = shown;
  if (chart == null) {
    return found;
  }
  if (chart.count > 1) {
    return [...found, busyOf(chart), memoryOf(chart)];
  }
  return [...found, ...(chart.gpus ?? []).flatMap(heatOf)]; // the rest stands over its charts
}

/** How busy all GPUs are on average, or why that is not known. */
export function busyOf(chart: Chart): Figure {
  const word =
    chart.count > 1 ? trans.__('%1 GPUs busy', count(chart.count)) : trans.__('GPU busy');
  return { word, figure: withReason(percent(chart.busy), chart.missing?.utilisation) };
}

/** How full the fullest device is, or why that is not known. */
export function memoryOf(chart: Chart): Figure {
  const word = chart.count > 1 ? trans.__('fullest memory') : trans.__('memory');
  const figure = memory(chart.memory_used, chart.memory_total);
  return { word, figure: withReason(figure, chart.missing?.memory_used) };
}

/** Temperature and power, as far as the device gives them. */
export function heatOf(gpu: GpuSeries): Figure[] {
  const found: Figure[] = [];
  if (gpu.temperature != null) {
    found.push({ word: '', figure: `${gpu.temperature.toFixed(0)} °C` });
  }
  if (gpu.power != null) {
    found.push({ word: '', figure: `${gpu.power.toFixed(0)} W` });
  }
  return found;
}

/** How far a chart looks back. */
export function span({ seconds: back }: Pick<Chart, 'seconds'>): string {
  return back >= 120
    ? trans.__('last %1 min', (back / 60).toFixed(0))
    : trans.__('last %1 s', back.toFixed(0));
}

/** How GPUs are told apart: by their own numbers, their rank's where each has one, or both. */
export type Naming = 'gpu' | 'rank' | 'both';

/** How the GPUs of a run are told apart. */
export function naming(shown: Shown): Naming {
  const ranks = shown.rank_count ?? 0;
  if (ranks < 2) {
    return 'gpu';
  }
  return (shown.chart?.count ?? 0) <= ranks ? 'rank' : 'both';
}

/** A GPU's name where it stands beside others. */
export function gpuName(gpu: GpuSeries, by: Naming): string {
  return { gpu: `${gpu.gpu}`, rank: `${gpu.rank}`, both: `${gpu.rank}·${gpu.gpu}` }[by];
}

/** Everything known of one GPU, in a sentence. */
export function gpuTitle(gpu: GpuSeries, by: Naming): string {
  const parts = [
    by === 'gpu' ? trans.__('GPU %1', gpu.gpu) : trans.__('GPU %1 of rank %2', gpu.gpu, gpu.rank)
  ];
  parts.push(gpu.name ?? '', trans.__('busy %1', percent(gpu.busy)));
  parts.push(trans.__('memory %1', memory(gpu.memory_used, gpu.memory_total)));
  parts.push(...heatOf(gpu).map(({ figure }) => figure));
  if (gpu.clock != null) {
    parts.push(clocks(gpu.clock, gpu.clock_max));
  }
  parts.push(gpu.slowed ?? '');
  for (const [name, why] of Object.entries(gpu.missing ?? {})) {
    parts.push(trans.__('no %1: %2', name.replaceAll('_', ' '), why));
  }
  return parts.filter(Boolean).join(', ');
}

/** What it took, without what is next to nothing: for a line that says all there is. */
export function shortBill(shown: Shown): Figure[] {
  const small = (shown.receipt?.gpu_seconds ?? 0) < 36;
  return took(shown).filter(({ figure }) => !(small && figure.includes('GPU-')));
}

/** How long it waited, and what it took. */
export function bill(shown: Shown): Figure[] {
  return shown.waited != null && shown.waited >= 1 && !waits(shown.phase ?? 'Queued')
    ? [{ word: trans.__('waited'), figure: seconds(shown.waited) }, ...took(shown)]
    : took(shown);
}

/** What it took: time, GPUs, cost. */
function took(shown: Shown): Figure[] {
  const found: Figure[] = [];
  const phase = shown.phase ?? 'Queued';
  const said = phase === 'Failed' || phase === 'Stopped'; // the answer has it
  if (shown.ran != null && shown.ran > 0 && !said) {
    found.push({ word: trans.__('ran'), figure: seconds(shown.ran) });
  }
  const receipt = shown.receipt ?? null;
  if (receipt?.restarts != null && receipt.restarts > 0) {
    found.push({ word: trans.__('restarts'), figure: count(receipt.restarts) });
  }
  if (receipt !== null && (receipt.gpus ?? 0) > 0) {
    found.push({ word: trans.__('GPU'), figure: percent(receipt.mean_utilisation) });
    if (receipt.peak_memory != null) {
      found.push({ word: trans.__('peak'), figure: memory(receipt.peak_memory, null) });
    }
    found.push({ word: '', figure: gpuHours(receipt.gpu_seconds ?? 0) });
  }
  if (shown.cost != null && shown.cost !== '') {
    const over = ended(shown.phase ?? 'Queued');
    found.push({ word: over ? '' : trans.__('so far'), figure: shown.cost });
  }
  return found;
}

/** What came back: names, and how large they are together. */
export function cameBack(shown: Shown): readonly [string, string] {
  const results = shown.results ?? [];
  if (results.length === 0) {
    return ['', ''];
  }
  const names = results.slice(0, 3).map(({ name }) => name);
  const size = memory(
    results.reduce((sum, one) => sum + one.size, 0),
    null
  );
  const more = results.length - names.length;
  const came =
    more > 0 ? trans.__('and %1 more came back, %2', more, size) : trans.__('came back, %1', size);
  return [names.join(', '), ` ${came}`];
}

/** The ranks that are worth a row, and a line that stands for all others. */
export function worthARow(shown: Shown): readonly [readonly RankLine[], string] {
  const ranks = shown.ranks ?? [];
  const all = Math.max(shown.rank_count ?? 0, ranks.length);
  const by = shown.failure?.rank ?? ranks[0]?.rank;
  const alike = (rank: RankLine) => rank.phase === 'Stopped' && rank.failure?.cause === 'stopped';
  const first = ranks.findIndex(alike);
  const goesDown = ended(shown.phase ?? 'Queued') && first >= 0 && by !== undefined;
  if (goesDown && ranks.slice(first).every(alike) && all - first > 2) {
    const others = all - first - 1;
    const said = trans._n(
      '%2 more rank, all stopped by rank %3',
      '%2 more ranks, all stopped by rank %3',
      others,
      count(others),
      by
    );
    return [ranks.slice(0, first + 1), said];
  }
  return [ranks, all > ranks.length ? more(all - ranks.length) : ''];
}

function more(ranks: number): string {
  return trans._n('%2 more rank', '%2 more ranks', ranks, count(ranks));
}

function withReason(figure: string, why: string | undefined): string {
  return figure === notKnown() ? notKnown(why) : figure;
}
