/** A run's view: one line answers the first question, and what belongs to it stands below. */

import type { Chart, GpuSeries, Progress, Shown, Snapshot, Where } from '../wire';
import { button, h } from './dom';
import { about, gpuHours, memory, percent, seconds } from './format';
import { ended } from '../models/phases';
import { mark, stateOf } from './phases';
import { Sparkline } from './sparkline';

/** What a card can do; a card without it only shows. */
export interface Actions {
  /** What "Stop" does here. */
  readonly stopTitle: string;
  stop(): Promise<void>;
  keep(seconds: number): Promise<void>;

  /** Opens its log; absent where there is nowhere to open it. */
  logs?(): void;
}

const KEEP = 2 * 3600;

/** The card of one run, refreshed in place, so that what has the focus keeps it. */
export class Card {
  constructor() {
    this.node.append(this._head, this._body, this._foot);
    this._body.append(this._answer, this._lines, this._charts);
    this._head.append(this._title, this._bill, this._buttons);
    this._status.setAttribute('aria-live', 'polite');
    this.node.append(this._status);
  }

  readonly node = h('section', 'gpuw-Card');

  /**
   * Show what is known now.
   *
   * @param note What is to be said besides, e.g. that the server does not answer.
   */
  show(found: Snapshot, actions: Actions | null, note = ''): void {
    const { where } = found;
    const shown = found.snapshot;
    const phase = shown.phase ?? 'Queued';
    this.node.dataset.state = stateOf(phase);
    this.node.setAttribute('aria-label', `Run ${shown.name ?? found.id}`);
    const done = phase === 'Succeeded' || phase === 'Stopped';
    const said = [shown.name, ...place(shown, where), done ? shown.answer : ''];
    this._title.replaceChildren(
      mark(phase),
      h('strong', '', shown.word ?? phase),
      h('span', 'gpuw-Quiet', said.filter(Boolean).join(' · ')),
      shown.simulated === true ? h('span', 'gpuw-Tag', 'SIMULATED') : ''
    );
    this._act(phase, shown, actions);
    this._answer.replaceChildren(...(done ? [] : answer(shown)));
    this._lines.replaceChildren(
      ...[shown.hint ?? '', ...(shown.notes ?? []).map(text => `▲ ${text}`), note, this._refused]
        .filter(Boolean)
        .map(text => h('div', text.startsWith('▲') ? 'gpuw-Note' : 'gpuw-Quiet', text))
    );
    this._body.hidden = done && this._lines.childElementCount === 0;
    this._draw(ended(phase) ? null : (shown.chart ?? null));
    const figures = bill(shown).map(text => h('span', '', text));
    this._bill.replaceChildren(...(done ? figures : []));
    this._foot.replaceChildren(...(done ? [] : figures));
    this._foot.hidden = this._foot.childElementCount === 0;
    if (this._status.textContent !== (shown.word ?? phase)) {
      this._status.textContent = shown.word ?? phase; // only a new phase is read out
    }
  }

  private _act(phase: string, shown: Shown, actions: Actions | null): void {
    this._actions = actions;
    const wanted: string[] = actions?.logs === undefined ? [] : ['Logs'];
    if (actions !== null && !ended(shown.phase ?? 'Queued') && phase !== 'Stopping') {
      if (shown.word === 'Idle') {
        wanted.push('Keep 2 h');
      }
      wanted.push('Stop');
    }
    if (wanted.join() === this._wanted) {
      return;
    }
    this._wanted = wanted.join();
    const made = wanted.map(label => {
      if (label === 'Logs') {
        return button(label, 'All that it has written', () => this._actions?.logs?.());
      }
      return label === 'Stop'
        ? button(label, actions?.stopTitle ?? '', () => void this._do(this._actions?.stop()))
        : button(
            label,
            'Put off the end of the idle session',
            () => void this._do(this._actions?.keep(KEEP))
          );
    });
    this._buttons.replaceChildren(...made);
  }

  private async _do(asked: Promise<void> | undefined): Promise<void> {
    this._refused = '';
    try {
      await asked;
    } catch (error) {
      this._refused = error instanceof Error ? error.message : String(error);
      this._lines.append(h('div', 'gpuw-Note', this._refused));
    }
  }

  private _draw(chart: Chart | null): void {
    const gpus = chart?.gpus ?? [];
    const keys = new Set(gpus.map(key));
    for (const [name, one] of this._sparklines) {
      if (!keys.has(name)) {
        one.node.remove();
        this._sparklines.delete(name);
      }
    }
    this._charts.hidden = gpus.length === 0;
    for (const gpu of gpus) {
      let one = this._sparklines.get(key(gpu));
      if (one === undefined) {
        one = new GpuTile();
        this._sparklines.set(key(gpu), one);
        this._charts.append(one.node);
      }
      one.show(gpu);
    }
  }

  private readonly _title = h('div', 'gpuw-Title');
  private readonly _bill = h('div', 'gpuw-Bill');
  private readonly _buttons = h('div', 'gpuw-Buttons');
  private readonly _head = h('header', 'gpuw-Head');
  private readonly _answer = h('div', 'gpuw-Answer');
  private readonly _lines = h('div', '');
  private readonly _charts = h('div', 'gpuw-Charts');
  private readonly _body = h('div', 'gpuw-Body');
  private readonly _foot = h('footer', 'gpuw-Foot');
  private readonly _status = h('div', 'gpuw-Unseen');
  private readonly _sparklines = new Map<string, GpuTile>();
  private _actions: Actions | null = null;
  private _wanted = '';
  private _refused = '';
}

/** One GPU: its number, how busy it is, and both over time. */
class GpuTile {
  constructor() {
    this.node.append(this._head, this._line.node, this._memory);
  }

  readonly node = h('div', 'gpuw-Gpu');

  show(gpu: GpuSeries): void {
    this._head.replaceChildren(h('strong', '', String(gpu.gpu)), h('span', '', percent(gpu.busy)));
    const said = `GPU ${gpu.gpu}, ${gpu.name ?? ''}: ${percent(gpu.busy)} busy`;
    const missing = Object.values(gpu.missing ?? {}).join('; ');
    this.node.title = missing === '' ? said : `${said} (${missing})`;
    this._line.draw(gpu.utilisation ?? [], said);
    this._memory.textContent = memory(gpu.memory_used, gpu.memory_total);
  }

  private readonly _head = h('div', 'gpuw-GpuHead');
  private readonly _line = new Sparkline();
  private readonly _memory = h('div', 'gpuw-Quiet');
}

function key(gpu: GpuSeries): string {
  return `${gpu.rank}/${gpu.gpu}`;
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
  if (where.gpus != null && where.gpus !== '') {
    parts.push(where.gpus);
  }
  return parts;
}

function answer(shown: Shown): (Node | string)[] {
  const progress = shown.phase === 'Running' ? shown.progress : null;
  if (progress != null) {
    return progressed(progress);
  }
  const text = shown.answer ?? '';
  return text === '' ? [] : [h('span', shown.phase === 'Failed' ? 'gpuw-Failed' : '', text)];
}

function progressed(progress: Progress): (Node | string)[] {
  const count = progress.total == null ? '' : ` / ${progress.total.toLocaleString('en')}`;
  const said = `${progress.label} ${progress.done.toLocaleString('en')}${count}`.trim();
  if (progress.total == null || progress.total === 0) {
    return [h('span', '', said)];
  }
  const share = Math.min(100, Math.max(0, (100 * progress.done) / progress.total));
  const bar = document.createElement('progress');
  bar.max = 100;
  bar.value = share;
  bar.setAttribute('aria-label', said);
  const left = progress.seconds_left == null ? '' : ` about ${about(progress.seconds_left)} left`;
  return [h('span', '', said), bar, h('span', '', h('strong', '', percent(share)), left)];
}

function bill(shown: Shown): string[] {
  const found: string[] = [];
  const waits = ['Queued', 'Pending', 'Starting'].includes(shown.phase ?? 'Queued');
  if (shown.waited != null && shown.waited >= 1 && !waits) {
    found.push(`waited ${seconds(shown.waited)}`);
  }
  if (shown.ran != null && shown.ran > 0) {
    found.push(`ran ${seconds(shown.ran)}`);
  }
  if (shown.receipt != null && (shown.receipt.gpus ?? 0) > 0) {
    found.push(
      `GPU ${percent(shown.receipt.mean_utilisation)}`,
      gpuHours(shown.receipt.gpu_seconds ?? 0)
    );
  }
  if (shown.cost != null && shown.cost !== '') {
    found.push(shown.cost);
  }
  return found;
}
