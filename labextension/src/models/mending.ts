/** Output that comes back: a cell that missed some of its run's output is given all of it, from the run's journal. */

import type { ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import type { IDisposable } from '@lumino/disposable';

import type { Connection, IRuns } from '../tokens';
import { pause } from './backoff';
import { ended } from './phases';
import { Refused } from './refused';
import type { Shown } from '../wire';
import { charactersOf, rewrite, rewriteTogether, runOf } from './cell';

/** Milliseconds between two times that a cell is written anew. */
const PAUSE = 2000;

/** Failures in a row, in a minute or two, after which it is asked for again only over a new connection. */
const TRIES = 12;

/** Who else may write a cell's outputs. */
export interface Writers {
  /** Milliseconds for which somebody else is given time to write what is lacking. */
  readonly patience: number;

  /** Whether it falls to this page. */
  mine(): boolean;
}

/** Nobody else does. */
const ALONE: Writers = { patience: 0, mine: () => true };

/**
 * Watches one cell whose run was not started from this page: its messages go to whoever started it, and not here.
 *
 * The outputs are written whole, so doing it twice changes nothing.
 */
export class Mending implements IDisposable {
  constructor(runs: IRuns, cell: ICodeCellModel, writers: Writers = ALONE) {
    const found = runOf(cell);
    this._runs = runs;
    this._writers = writers;
    this._cell = cell;
    this._workload = found?.id ?? '';
    this._run = found?.run ?? '';
    runs.connectionChanged.connect(this._connected, this);
    this._following = runs.follow(this._workload, this._run, known => {
      if (known.kind === 'value') {
        this._newest = known.value.snapshot;
        this._look();
      }
    });
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    window.clearTimeout(this._timer);
    this._runs.connectionChanged.disconnect(this._connected, this);
    this._following.dispose();
  }

  /** What failed without the server need not fail any more. */
  private _connected(_: IRuns, { state }: Connection): void {
    if (state === 'open' && this._failures > 0) {
      this._failures = 0;
      this._lookAgain(0);
    }
  }

  private _look(): void {
    if (this._disposed || this._busy || this._newest === null) {
      return;
    }
    const over = ended(this._newest.phase ?? 'Queued');
    const stale = over && !ended(runOf(this._cell)?.snapshot.phase ?? 'Queued');
    if (stale || lacks(this._cell, this._newest)) {
      this._lacking ??= Date.now();
      const waited = Date.now() - this._lacking;
      if (waited >= this._writers.patience && this._writers.mine()) {
        void this._write(over);
      } else {
        this._lookAgain(Math.max(PAUSE, this._writers.patience - waited));
      }
    } else if (over) {
      this.dispose();
    } else {
      this._lacking = null;
    }
  }

  private _lookAgain(milliseconds: number): void {
    window.clearTimeout(this._timer);
    if (!this._disposed) {
      this._timer = window.setTimeout(() => {
        this._busy = false;
        this._look();
      }, milliseconds);
    }
  }

  private async _write(over: boolean): Promise<void> {
    this._busy = true;
    try {
      const written = await this._runs.outputs(this._workload, this._run);
      if (!this._disposed && runOf(this._cell)?.run === this._run) {
        const write = this._writers === ALONE ? rewrite : rewriteTogether;
        write(this._cell, written);
      }
      this._failures = 0;
    } catch (error) {
      // what stands in the notebook stays
      if (!(error instanceof Refused && error.final)) {
        this._fail();
        return;
      }
      over = true;
    }
    if (over) {
      this.dispose();
    } else {
      this._lookAgain(PAUSE);
    }
  }

  private _fail(): void {
    if (this._failures < TRIES) {
      this._lookAgain(pause(this._failures));
      this._failures += 1;
    }
  }

  private readonly _runs: IRuns;
  private readonly _cell: ICodeCellModel;
  private readonly _writers: Writers;
  private readonly _workload: string;
  private readonly _run: string;
  private readonly _following: IDisposable;
  private _newest: Shown | null = null;
  private _busy = false;
  private _failures = 0;

  /** Since when the cell lacks something. */
  private _lacking: number | null = null;
  private _timer = 0;
  private _disposed = false;
}

/** Whether a cell was saved while its run went on. Untrusted ones are left as they are. */
export function goesOn(cell: ICellModel): cell is ICodeCellModel {
  if (cell.type !== 'code' || !cell.trusted) {
    return false;
  }
  const found = runOf(cell as ICodeCellModel);
  return found !== null && found.run !== '' && !ended(found.snapshot.phase ?? 'Queued');
}

/** Whether a cell has fewer characters of a stream than the run has written. */
export function lacks(cell: ICodeCellModel, shown: Shown): boolean {
  const has = charactersOf(cell);
  return Object.entries(shown.characters ?? {}).some(([name, count]) => (has[name] ?? 0) < count);
}
