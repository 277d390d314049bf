/** What a card has to say when it is asked: ranks, charts over time, last lines, events. */

import { ended } from '../models/phases';
import { trans } from '../translation';
import type { Snapshot } from '../wire';
import { DaskCurves } from './dask';
import { tooMany } from './daskwords';
import { h, hide, say, words } from './dom';
import { Events } from './events';
import { Folds } from './folds';
import { Functions } from './functions';
import { RankTable } from './ranks';
import type { OpenLog } from './ranks';
import { Timeline } from './timeline';
import { WorkerTable } from './workers';

const RANKS = 'ranks';
const WORKERS = 'workers';
const FUNCTIONS = 'functions';
const PAST = 'past';
const GPUS = 'gpus';
const LINES = 'lines';
const EVENTS = 'events';

/** Failures whose traceback stands in the cell already. */
const IN_CELL: readonly string[] = [
  'user-error',
  'syntax-error',
  'interrupted',
  'cuda-out-of-memory'
];

/** The folds of one card. Of a run that is done they are out of sight until somebody asks for more. */
export class Details {
  constructor() {
    this.more.type = 'button';
    this.more.className = 'gpuw-Fold';
    this.more.setAttribute('aria-label', trans.__('More of this run'));
    this.more.append(h('span', 'gpuw-Turn'));
    this.more.addEventListener('click', () => {
      this._wanted = !this._wanted;
      this.changed?.();
    });
    this._folds.opened = () => {
      this.changed?.();
    };
  }

  /** Opens the folds of a run that is done. */
  readonly more = document.createElement('button');

  /** Called when something was opened or closed. */
  changed: (() => void) | null = null;

  /** The buttons that open them. */
  get buttons(): HTMLElement {
    return this._folds.buttons;
  }

  /** What they open. */
  get panels(): HTMLElement {
    return this._folds.panels;
  }

  /**
   * Show what is known now, as far as it is open.
   *
   * @param done Whether there is nothing more to be said unless somebody asks.
   * @param open Opens the log of a rank; `null` where there is nowhere to open it.
   */
  show(found: Snapshot, done: boolean, open: OpenLog | null): void {
    const { snapshot: shown } = found;
    const lines = linesOf(found);
    const dask = shown.dask ?? null;
    const over = ended(shown.phase ?? 'Queued');
    const there = {
      [RANKS]: (shown.rank_count ?? 0) > 1 && (shown.ranks ?? []).length > 0,
      [PAST]: over && dask?.past != null,
      [WORKERS]: (dask?.workers ?? []).length > 0 && (over || (dask !== null && tooMany(dask))),
      [FUNCTIONS]: (dask?.tasks?.groups ?? []).length > 0,
      [GPUS]: (shown.chart?.count ?? 0) > 0,
      [LINES]: lines !== '',
      [EVENTS]: (shown.moments ?? []).length > 0
    };
    const keys = Object.entries(there).flatMap(([key, is]) => (is ? [key] : []));
    hide(this.more, !done || keys.length === 0);
    words(this.more, 'aria-expanded', String(this._wanted));
    if (there[RANKS] && shown.phase === 'Failed') {
      this._folds.suggest(RANKS);
    }
    this._folds.offer(new Set(done && !this._wanted ? [] : keys));
    if (this._folds.isOpen(RANKS)) {
      this._ranks.show(shown, open);
    }
    if (this._folds.isOpen(PAST)) {
      this._past.show(shown);
    }
    if (dask !== null && this._folds.isOpen(WORKERS)) {
      this._workers.show(dask);
    }
    if (this._folds.isOpen(FUNCTIONS)) {
      this._functions.show(dask?.tasks?.groups ?? []);
    }
    if (this._folds.isOpen(GPUS)) {
      this._timeline.show(shown);
    }
    if (this._folds.isOpen(LINES)) {
      say(this._lines, lines);
    }
    if (this._folds.isOpen(EVENTS)) {
      this._events.show(found);
    }
  }

  /** The theme has changed; it is shown anew after that. */
  restyled(): void {
    this._timeline.restyled();
    this._past.restyled();
  }

  dispose(): void {
    this._timeline.dispose();
  }

  private readonly _ranks = new RankTable();
  private readonly _past = new DaskCurves();
  private readonly _workers = new WorkerTable();
  private readonly _functions = new Functions();
  private readonly _timeline = new Timeline();
  private readonly _lines = h('pre', 'gpuw-Lines');
  private readonly _events = new Events();
  private readonly _folds = new Folds([
    { key: RANKS, title: trans.__('Ranks'), node: this._ranks.node },
    { key: PAST, title: trans.__('Over time'), node: this._past.node },
    { key: WORKERS, title: trans.__('Workers'), node: this._workers.node },
    { key: FUNCTIONS, title: trans.__('Functions'), node: this._functions.node },
    { key: GPUS, title: trans.__('GPUs over time'), node: this._timeline.node },
    { key: LINES, title: trans.__('Last lines'), node: this._lines },
    { key: EVENTS, title: trans.__('Events'), node: this._events.node }
  ]);
  private _wanted = false;
}

/** What it wrote last, where the cell does not have it already. */
function linesOf({ snapshot: shown }: Snapshot): string {
  const { failure } = shown;
  return failure == null || IN_CELL.includes(failure.cause) ? '' : (failure.detail ?? '');
}
