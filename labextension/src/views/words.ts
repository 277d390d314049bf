/** The sentences of a card, as `surfaces/view/lines.py` writes them. */

import { ended } from '../models/phases';
import type { Chart, GpuSeries, Progress, RankLine, Shown, Where } from '../wire';
import { clocks, count, gpuHours, memory, percent, rate, seconds } from './format';

/** A word and its figure; the number alone is set off. */
export interface Figure {
  readonly word: string;
  readonly figure: string;
}

/** Where it runs, part by part. */
export function place(shown: Shown, where: Where): string[] {
  const parts: string[] = [];
  const kind = shown.kind ?? 'session';
  if (kind !== 'session') {
    parts.push(kind);
  } else if (where.session != null && where.session !== '') {
    parts.push(`session ${where.session}`);
  }
  const cluster = [where.context, where.namespace].filter(Boolean).join(' / ');
  if (cluster !== '' || where.backend !== 'local') {
    parts.push(cluster === '' ? where.backend : cluster);
  }
  const gpus = where.gpus ?? '';
  const ranks = (shown.rank_count ?? 0) > 1 ? `${count(shown.rank_count ?? 0)} ranks` : '';
  parts.push([ranks, gpus].filter(Boolean).join(' on '));
  if (where.backend === 'local' && !gpus.includes('this machine')) {
    parts.push('this machine');
  }
  return parts.filter(Boolean);
}

/** Which rank failed first, where there are several. */
export function failedFirst(shown: Shown): string {
  const several = (shown.rank_count ?? 0) > 1;
  return several && shown.phase === 'Failed' && shown.failure != null
    ? `rank ${shown.failure.rank ?? 0} first`
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
  const word = chart.count > 1 ? `${count(chart.count)} GPUs busy` : 'GPU busy';
  return { word, figure: withReason(percent(chart.busy), chart.missing?.utilisation) };
}

/** How full the fullest device is, or why that is not known. */
export function memoryOf(chart: Chart): Figure {
  const word = chart.count > 1 ? 'fullest memory' : 'memory';
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
export function span(chart: Chart): string {
  return chart.seconds >= 120
    ? `last ${(chart.seconds / 60).toFixed(0)} min`
    : `last ${chart.seconds.toFixed(0)} s`;
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
  const parts = [by === 'gpu' ? `GPU ${gpu.gpu}` : `GPU ${gpu.gpu} of rank ${gpu.rank}`];
  parts.push(gpu.name ?? '', `busy ${percent(gpu.busy)}`);
  parts.push(`memory ${memory(gpu.memory_used, gpu.memory_total)}`);
  parts.push(...heatOf(gpu).map(({ figure }) => figure));
  if (gpu.clock != null) {
    parts.push(clocks(gpu.clock, gpu.clock_max));
  }
  parts.push(gpu.slowed ?? '');
  for (const [name, why] of Object.entries(gpu.missing ?? {})) {
    parts.push(`no ${name.replaceAll('_', ' ')}: ${why}`);
  }
  return parts.filter(Boolean).join(', ');
}

/** What it took, without what is next to nothing: for a line that says all there is. */
export function shortBill(shown: Shown): Figure[] {
  const small = (shown.receipt?.gpu_seconds ?? 0) < 36;
  return bill(shown).filter(
    ({ word, figure }) => word !== 'waited' && !(small && figure.includes('GPU-'))
  );
}

/** What it took: time, GPUs, cost. */
export function bill(shown: Shown): Figure[] {
  const found: Figure[] = [];
  const phase = shown.phase ?? 'Queued';
  const waits = ['Queued', 'Pending', 'Starting'].includes(phase);
  if (shown.waited != null && shown.waited >= 1 && !waits) {
    found.push({ word: 'waited', figure: seconds(shown.waited) });
  }
  const said = phase === 'Failed' || phase === 'Stopped'; // the answer has it
  if (shown.ran != null && shown.ran > 0 && !said) {
    found.push({ word: 'ran', figure: seconds(shown.ran) });
  }
  const receipt = shown.receipt ?? null;
  if (receipt !== null && (receipt.gpus ?? 0) > 0) {
    found.push({ word: 'GPU', figure: percent(receipt.mean_utilisation) });
    if (receipt.peak_memory != null) {
      found.push({ word: 'peak', figure: memory(receipt.peak_memory, null) });
    }
    found.push({ word: '', figure: gpuHours(receipt.gpu_seconds ?? 0) });
  }
  if (shown.cost != null && shown.cost !== '') {
    found.push({ word: '', figure: shown.cost });
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
  const more = results.length > 3 ? ` and ${results.length - 3} more` : '';
  const size = results.reduce((sum, one) => sum + one.size, 0);
  return [names.join(', '), `${more} came back, ${memory(size, null)}`];
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
    return [ranks.slice(0, first + 1), `${more(all - first - 1)}, all stopped by rank ${by}`];
  }
  return [ranks, all > ranks.length ? more(all - ranks.length) : ''];
}

function more(ranks: number): string {
  return `${count(ranks)} more ${ranks === 1 ? 'rank' : 'ranks'}`;
}

function withReason(figure: string, why: string | undefined): string {
  return figure === 'n/a' && why != null && why !== '' ? `n/a (${why})` : figure;
}
