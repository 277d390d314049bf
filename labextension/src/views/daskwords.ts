/** The words of a Dask cluster's card, as `surfaces/view/dask_lines.py` writes them. */

import { trans } from '../translation';
import type { DaskCounts, DaskShown, DaskWorkerLine } from '../wire';
import { bytes, count, memory, notKnown, percent, tasks } from './format';
import type { Figure } from './words';

/** Workers that stand in the card itself; of more, those that something sets apart. */
export const IN_SIGHT = 8;

/** Tasks that are neither done nor failed. */
export function open({ running, waiting }: DaskCounts): number {
  return (running ?? 0) + (waiting ?? 0);
}

/** All tasks of the computation. */
export function total(counts: DaskCounts): number {
  return (counts.done ?? 0) + (counts.failed ?? 0) + open(counts);
}

/** The parts of the bar of tasks, besides what is done. */
export function legend(counts: DaskCounts): Figure[] {
  const { running = 0, waiting = 0, failed = 0 } = counts;
  const found: Figure[] = [];
  if (running > 0) {
    found.push({ word: '', figure: trans.__('%1 running', count(running)), key: 'run' });
  }
  if (waiting > 0) {
    found.push({ word: '', figure: trans.__('%1 waiting', count(waiting)), key: 'wait' });
  }
  if (failed > 0) {
    found.push({ word: '', figure: trans.__('%1 failed', count(failed)), key: 'fail' });
  }
  return found;
}

/** What all workers do together, without what stands over the curves. */
export function daskFigures(dask: DaskShown): Figure[] {
  const { all = {}, tasks: counts = {}, clients = 0, moved = 0 } = dask;
  const drawn = dask.past != null;
  const found = open(counts) > 0 ? legend(counts) : [];
  const speed = open(counts) > 0 && (hasGpus(all) || !drawn) ? tasks(counts.rate) : '';
  if (speed !== '') {
    found.push({ word: '', figure: speed });
  }
  if ((all.threads ?? 0) > 0 && !drawn) {
    found.push({ word: trans.__('threads busy'), figure: threads(all) });
  }
  if (hasGpus(all) && !drawn) {
    found.push({ word: gpusBusy(all), figure: gpuBusy(all) });
  }
  if (hasGpus(all)) {
    found.push({ word: trans.__('GPU memory'), figure: gpuMemory(all) });
  }
  if ((dask.count ?? 0) > 0) {
    found.push({ word: trans.__('memory'), figure: memory(all.memory, all.memory_limit) });
  }
  if ((all.spilled ?? 0) > 0) {
    found.push({ word: trans.__('spilled'), figure: bytes(all.spilled ?? 0) });
  }
  if (moved > 0) {
    const now = Math.max(all.received ?? 0, all.sent ?? 0);
    const said = now > 0 ? trans.__('%1 · %2 now', bytes(moved), speedOf(now)) : bytes(moved);
    found.push({ word: trans.__('moved'), figure: said });
  }
  if (clients !== 1 && dask.count != null) {
    const said = trans._n('%2 client', '%2 clients', clients, count(clients));
    found.push({ word: '', figure: clients === 0 ? trans.__('no client') : said });
  }
  return found;
}

export function hasGpus({ gpus }: DaskWorkerLine): boolean {
  return (gpus ?? 0) > 0;
}

/** `8 / 8`. */
export function threads({ executing, threads: all }: DaskWorkerLine): string {
  return `${count(executing ?? 0)} / ${count(all ?? 0)}`;
}

export function gpusBusy({ gpus }: DaskWorkerLine): string {
  return gpus === 1 ? trans.__('GPU busy') : trans.__('%1 GPUs busy', count(gpus ?? 0));
}

/** `51 %`, or why that is not known. */
export function gpuBusy({ busy, missing }: DaskWorkerLine): string {
  return busy == null ? notKnown(missing) : percent(busy);
}

export function gpuMemory(line: DaskWorkerLine): string {
  return memory(line.gpu_memory, line.gpu_memory_total);
}

/** `120 MiB/s`; empty for nothing. */
export function speedOf(value: number | undefined): string {
  return value == null || value <= 0 ? '' : `${bytes(value)}/s`;
}

/** `790 %` of one core; of very many workers `107 cores`. */
export function cpu({ cpu: found }: DaskWorkerLine): string {
  return found != null && found >= 10_000
    ? trans.__('%1 cores', count(Math.round(found / 100)))
    : percent(found);
}

/** Everything known of one worker, in a sentence. */
export function workerTitle(line: DaskWorkerLine): string {
  const name = nonEmpty(line.whole) ?? line.name ?? '';
  return [
    name === '' ? '' : trans.__('Worker %1', name),
    line.note ?? '',
    trans.__('%1 threads busy', threads(line)),
    trans._n('%2 task waiting', '%2 tasks waiting', line.waiting ?? 0, count(line.waiting ?? 0)),
    trans.__('CPU %1', cpu(line)),
    trans.__('memory %1', memory(line.memory, line.memory_limit)),
    (line.spilled ?? 0) > 0 ? trans.__('spilled %1', bytes(line.spilled ?? 0)) : '',
    hasGpus(line) ? `${gpusBusy(line)} ${gpuBusy(line)}` : '',
    hasGpus(line) ? trans.__('GPU memory %1', gpuMemory(line)) : ''
  ]
    .filter(Boolean)
    .join(', ');
}

/** `and 136 more`; empty where all have a row. */
export function restTitle(dask: DaskShown): string {
  const more = (dask.count ?? 0) - (dask.workers ?? []).length;
  return dask.rest == null || more <= 0
    ? ''
    : trans._n('and %2 more', 'and %2 more', more, count(more));
}

/** Whether so many workers are too many to stand in the card itself. */
export function tooMany(dask: DaskShown): boolean {
  return (dask.count ?? 0) > IN_SIGHT;
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
