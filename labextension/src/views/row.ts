/** One workload in the panel, refreshed in place, so that what has the focus keeps it. */

import { trans } from '../translation';
import type { Row, RunLine } from '../wire';
import { button, h } from './dom';
import { about, percent, seconds } from './format';
import { KEEP } from '../models/keep';
import { ended } from '../models/phases';
import { isSession, nameOf, runName } from '../models/runlist';
import { mark, stateOf } from './phases';
import { Trend } from './trend';
import { progressed } from './words';

/** What can be done with a row. */
export interface RowActions {
  /** Whether whoever looks may stop and keep it. */
  readonly mayAct: boolean;
  open(row: Row): void;
  notebook(row: Row): void;
  attach(row: Row): void;
  keep(row: Row): void;
  stop(row: Row): void;
}

/** A row of the panel. */
export class RowView {
  constructor(actions: RowActions, row: Row) {
    this._actions = actions;
    this._row = row;
    const act = (what: (row: Row) => void) => (event?: Event) => {
      event?.stopPropagation();
      what(this._row);
    };
    this._name = button('', '', () => undefined); // the row is clicked
    this._name.className = 'gpuw-RowName';
    this._notebook = button(
      trans.__('Notebook'),
      '',
      act(one => {
        actions.notebook(one);
      })
    );
    this._attach = button(
      trans.__('Attach'),
      '',
      act(one => {
        actions.attach(one);
      })
    );
    this._keep = button(
      trans.__('Keep'),
      '',
      act(one => {
        actions.keep(one);
      })
    );
    this._stop = button(
      trans.__('Stop'),
      '',
      act(one => {
        actions.stop(one);
      })
    );
    this._buttons = [this._notebook, this._attach, this._keep, this._stop];
    this.node.addEventListener(
      'click',
      act(one => {
        actions.open(one);
      })
    );
    this._doings.append(...this._buttons);
    this._head.append(this._mark, this._name, this._figure);
    this._body.append(this._tag, this._said, this._cost, this._line.node, this._doings);
    this.node.append(this._head, this._body, this._bar);
  }

  readonly node = h('article', 'gpuw-Row');

  /** Show what is known now. */
  show(row: Row): void {
    if (row === this._shown && this._actions.mayAct === this._mayAct) {
      return;
    }
    this._row = this._shown = row;
    this._mayAct = this._actions.mayAct;
    const phase = row.phase ?? 'Queued';
    const name = nameOf(row);
    const figure = figureOf(row);
    this.node.dataset.state = stateOf(phase);
    this.node.title = titleOf(row);
    const cost = row.cost ?? '';
    const told = [name, row.word ?? phase, figure, cost].filter(Boolean);
    this.node.setAttribute('aria-label', told.join(', '));
    this._mark.replaceChildren(mark(phase));
    this._name.textContent = name;
    this._tag.hidden = row.simulated !== true;
    this._figure.textContent = figure;
    this._said.textContent = saidOf(row);
    this._cost.textContent = cost;
    this._cost.hidden = cost === '';
    this._draw(row, name);
    this._offer(row, name);
  }

  /** Whether Tab comes here. */
  reach(current: boolean): void {
    for (const one of [this._name, ...this._buttons]) {
      one.tabIndex = current ? 0 : -1;
    }
  }

  focus(): void {
    this._name.focus();
  }

  private _draw(row: Row, name: string): void {
    const trend = row.phase === 'Running' ? (row.trend ?? []) : [];
    this._line.node.toggleAttribute('hidden', trend.length === 0);
    if (trend.length > 0) {
      this._line.draw(trend, trendLabel(row, name));
    }
    const share = row.phase === 'Running' ? shareOf(row) : null;
    this._bar.hidden = share === null;
    this._bar.style.setProperty('--gpuw-share', `${share ?? 0}%`);
  }

  private _offer(row: Row, name: string): void {
    const phase = row.phase ?? 'Queued';
    const stops = this._actions.mayAct && !ended(phase) && phase !== 'Stopping';
    const idles = stops && row.word === 'Idle' && (isSession(row) || row.ending != null);
    const file = row.file ?? '';
    this._notebook.hidden = file === '';
    this._attach.hidden = row.kind === 'store';
    this._keep.hidden = !idles;
    this._stop.hidden = !stops;
    this._notebook.title = trans.__('Open %1 where it was started', file);
    this._attach.title = trans.__('Show %1 in the notebook that is open', name);
    this._keep.title = trans.__('Put off the end of %1 by %2', name, about(KEEP));
    this._stop.title = trans.__('End %1 and release its GPUs', name);
    this._notebook.setAttribute('aria-label', trans.__('Notebook %1', name));
    this._attach.setAttribute('aria-label', trans.__('Attach %1', name));
    this._keep.setAttribute('aria-label', trans.__('Keep %1', name));
    this._stop.setAttribute('aria-label', trans.__('Stop %1', name));
  }

  private readonly _actions: RowActions;
  private readonly _name: HTMLButtonElement;
  private readonly _notebook: HTMLButtonElement;
  private readonly _attach: HTMLButtonElement;
  private readonly _keep: HTMLButtonElement;
  private readonly _stop: HTMLButtonElement;
  private readonly _buttons: readonly HTMLButtonElement[];
  private readonly _head = h('div', 'gpuw-RowHead');
  private readonly _mark = h('span', '');
  private readonly _tag = h('span', 'gpuw-Tag', trans.__('SIMULATED'));
  private readonly _figure = h('span', 'gpuw-Quiet');
  private readonly _body = h('div', 'gpuw-RowBody');
  private readonly _said = h('span', 'gpuw-Quiet');
  private readonly _cost = h('span', 'gpuw-RowCost');
  private readonly _line = new Trend();
  private readonly _doings = h('span', 'gpuw-RowDoings');
  private readonly _bar = h('div', 'gpuw-RowBar');
  private _row: Row;
  private _shown: Row | null = null;
  private _mayAct = false;
}

/** What the curve shows. Of a Dask cluster without GPUs it is its threads. */
function trendLabel(row: Row, name: string): string {
  const threads = isDask(row) && (row.gpu_count ?? 0) === 0;
  return threads
    ? trans.__('Busy threads of %1', name)
    : trans.__('GPU use of %1: %2', name, percent(row.busy));
}

function isDask(row: Row): boolean {
  return row.kind === 'dask';
}

/** Where it runs, in words. */
function placeOf(row: Row): string {
  const where = row.backend === 'local' ? trans.__('this machine') : row.namespace;
  const said = row.gpus ?? '';
  const gpus = row.simulated === true ? said.replace('SIMULATED ', '') : said; // the tag says it
  return [gpus, gpus.includes(where ?? '') ? '' : where].filter(Boolean).join(' · ');
}

/** The second line: where it came from and runs, or why it waits, or how it ended. */
function saidOf(row: Row): string {
  const phase = row.phase ?? 'Queued';
  const answer = row.answer ?? '';
  if (phase !== 'Running' && answer !== '') {
    return answer;
  }
  const busy = busyIn(row);
  const file = row.file ?? '';
  if (isDask(row)) {
    const { progress } = row;
    const tasks = progress == null ? answer : progressed(progress).join('');
    const place = tasks.includes('worker') ? '' : placeOf(row);
    return [tasks, place, file].filter(Boolean).join(' · ');
  }
  const source = busy === undefined ? file : runName(busy, row);
  return [source, source.includes(file) ? '' : file, placeOf(row)].filter(Boolean).join(' · ');
}

/** The run that is under way in a session. */
function busyIn(row: Row): RunLine | undefined {
  return isSession(row) ? row.runs?.find(run => run.phase === 'Running') : undefined;
}

function titleOf(row: Row): string {
  const phase = row.phase ?? 'Queued';
  const cost =
    row.cost == null || row.cost === '' || ended(phase)
      ? row.cost
      : trans.__('%1 so far', row.cost);
  return [
    row.word ?? phase,
    row.answer,
    row.path ?? row.file,
    placeOf(row),
    cost,
    row.image,
    row.id
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Per cent of its progress; `null` where that is not known. */
function shareOf(row: Row): number | null {
  const { progress } = row;
  return progress?.total != null && progress.total > 0
    ? Math.min(100, Math.max(0, (100 * progress.done) / progress.total))
    : null;
}

/** Minutes are enough of what is far off: a figure that changes every second asks to be looked at. */
function roughly(value: number): string {
  return value < 120
    ? about(value)
    : about(60 * Math.round(value / 60)).replace(/ 00 (s|min)$/, '');
}

/** The one figure of a row. */
export function figureOf(row: Row): string {
  const phase = row.phase ?? 'Queued';
  if (ended(phase)) {
    return [phase.toLowerCase(), row.ran == null ? '' : seconds(row.ran)]
      .filter(Boolean)
      .join(' · ');
  }
  const share = phase === 'Running' ? shareOf(row) : null;
  if (share !== null) {
    const left = row.progress?.seconds_left;
    return left == null ? percent(share) : trans.__('%1 · about %2', percent(share), roughly(left));
  }
  if (row.word === 'Idle' && row.ending != null) {
    return trans.__('idle · ends in %1', roughly(row.ending.seconds));
  }
  if (isDask(row) && row.word === 'Idle') {
    return trans.__('idle');
  }
  if (phase === 'Running' && row.busy != null) {
    const ran = isSession(row) ? busyIn(row)?.ran : row.ran;
    const busy = percent(row.busy);
    return ran == null ? trans.__('GPU %1', busy) : trans.__('GPU %1 · for %2', busy, roughly(ran));
  }
  return row.waited == null
    ? (row.word ?? phase).toLowerCase()
    : trans.__('waited %1', seconds(row.waited));
}
