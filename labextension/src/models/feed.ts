/** A log as it is read: from its beginning, then on whenever its run is heard to have written more. */

import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { IRuns, Known } from '../tokens';
import type { LogPage, Snapshot } from '../wire';
import { pause } from './backoff';
import type { LogLines } from './log';
import type { ILogs } from './logs';
import { ended } from './phases';

/** Milliseconds of work after which others have their turn. */
const TURN = 12;

/** Reads a log into lines while it is wanted. */
export class LogFeed implements IDisposable {
  /**
   * @param run Which run; empty for all of the workload.
   * @param lines Where to.
   * @param rank Which rank's.
   */
  constructor(
    logs: ILogs,
    runs: Pick<IRuns, 'follow'>,
    workload: string,
    run: string,
    lines: LogLines,
    rank = 0
  ) {
    this._rank = rank;
    this._logs = logs;
    this._runs = runs;
    this._workload = workload;
    this._run = run;
    this._lines = lines;
  }

  /** Emitted when there are more lines, or something else to be said. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether there is more to be read at once. */
  get reading(): boolean {
    return this._reading && this._more;
  }

  /** Whether nothing more will be written. */
  get over(): boolean {
    return this._over;
  }

  /** Why nothing is written, or it cannot be read; empty where neither is so. */
  get why(): string {
    return this._wrong === '' ? this._why : this._wrong;
  }

  /** Whether it cannot be read at the moment. */
  get failed(): boolean {
    return this._wrong !== '';
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Read, and go on reading. */
  start(): void {
    if (this._following === null && !this._disposed && !this._over) {
      this._following = this._runs.follow(this._workload, this._run, known => {
        this._hear(known);
      });
      void this._read();
    }
  }

  /** Read no more for now. */
  stop(): void {
    this._following?.dispose();
    this._following = null;
    window.clearTimeout(this._timer);
  }

  dispose(): void {
    this._disposed = true;
    this.stop();
    Signal.clearData(this);
  }

  private _hear(known: Known<Snapshot>): void {
    if (known.kind !== 'value') {
      return;
    }
    const { phase, characters, displays } = known.value.snapshot;
    this._ended = ended(phase ?? 'Queued');
    // of a run it is known what rank 0 has written; of others and of a workload only that something has changed
    const heard =
      this._run === '' || this._rank > 0 ? {} : JSON.stringify([phase, characters, displays]);
    if (heard !== this._heard) {
      this._heard = heard;
      void this._read();
    }
  }

  private async _read(): Promise<void> {
    if (this._reading) {
      this._again = true;
      return;
    }
    this._reading = true;
    try {
      do {
        this._again = false;
        await this._readOn();
      } while (this._heardMeanwhile());
      [this._wrong, this._failures] = ['', 0];
    } catch (error) {
      this._wrong = error instanceof Error ? error.message : String(error);
      this._retry();
    }
    this._reading = false;
    if (this._over) {
      this._lines.close();
      this.stop();
    }
    this._changed.emit();
  }

  /** All that there is now. */
  private async _readOn(): Promise<void> {
    const last = this._ended && this._run !== '';
    do {
      await this._take(await this._logs.page(this._workload, this._run, this._cursor, this._rank));
    } while (this._wanted() && this._more);
    this._over ||= last && !this._more;
  }

  private _heardMeanwhile(): boolean {
    return this._again && this._wanted();
  }

  private _wanted(): boolean {
    return this._following !== null && !this._over;
  }

  private async _take(page: LogPage): Promise<void> {
    let began = performance.now();
    for (const { stream, text, at } of page.pieces ?? []) {
      this._lines.append(stream, text, at ?? null);
      if (performance.now() - began > TURN) {
        this._changed.emit();
        await new Promise(resolve => setTimeout(resolve));
        began = performance.now();
      }
    }
    this._cursor = page.cursor;
    this._more = page.more === true;
    this._over = page.end === true;
    this._why = page.why ?? '';
    this._changed.emit();
  }

  private _retry(): void {
    window.clearTimeout(this._timer);
    if (this._following !== null) {
      this._timer = window.setTimeout(() => void this._read(), pause(this._failures));
      this._failures += 1;
    }
  }

  private readonly _logs: ILogs;
  private readonly _runs: Pick<IRuns, 'follow'>;
  private readonly _workload: string;
  private readonly _run: string;
  private readonly _rank: number;
  private readonly _lines: LogLines;
  private readonly _changed = new Signal<this, void>(this);
  private _following: IDisposable | null = null;
  private _heard: unknown = null;
  private _cursor = '';
  private _why = '';
  private _wrong = '';
  private _ended = false;
  private _reading = false;
  private _again = false;
  private _more = true;
  private _over = false;
  private _disposed = false;
  private _failures = 0;
  private _timer = 0;
}
