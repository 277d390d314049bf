/** Knows when somebody was away, and what has ended in the meantime. */

import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { IRuns } from '../tokens';
import type { Phase, Row, Snapshot } from '../wire';
import { first } from './first';
import { seen, since } from './since';
import type { Seen, Since } from './since';

/** Milliseconds out of sight after which one has been away. */
const AWAY = 5 * 60_000;
/** Milliseconds between two times that it is kept what somebody sees. */
const KEEP = 5_000;

/**
 * While the page is looked at it keeps what goes on, in what all pages of this server share.
 *
 * When a page is opened, and when one is looked at again after a while, it tells what has ended since.
 */
export class Absence implements IDisposable {
  /**
   * @param store What the pages of a browser share.
   * @param server Address of the server: those of a hub share one store.
   */
  constructor(runs: IRuns, store: Storage, server: string) {
    this._runs = runs;
    this._store = store;
    this._name = `gpu-workbench:seen:${server}`;
  }

  /** Emitted when somebody is back and something has ended. */
  readonly ended = new Signal<this, Since>(this);

  /** Begin to look. */
  begin(): void {
    this._before = this._read();
    document.addEventListener('visibilitychange', this._onVisible);
    window.addEventListener('pagehide', this._keep);
    this._following = this._runs.followAll(known => {
      if (known.kind === 'value') {
        this._take(known.value);
      }
    });
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    document.removeEventListener('visibilitychange', this._onVisible);
    window.removeEventListener('pagehide', this._keep);
    this._following?.dispose();
    Signal.clearData(this);
  }

  private _take(rows: ReadonlyMap<string, Row>): void {
    this._rows = rows;
    if (document.visibilityState !== 'visible') {
      return;
    }
    if (this._before !== null) {
      const before = this._before;
      this._before = null;
      void this._tell(rows, before);
    }
    if (Date.now() - this._kept >= KEEP) {
      this._keep();
    }
  }

  private async _tell(rows: ReadonlyMap<string, Row>, before: Seen): Promise<void> {
    const { open } = since(rows, before);
    const phases = await Promise.all(open.map(key => this._phaseOf(key)));
    const known = new Map(open.map((key, place) => [key, phases[place] ?? 'Lost']));
    const found = since(rows, before, known);
    if (found.workloads.size > 0 && !this._disposed) {
      this.ended.emit(found);
    }
  }

  /** How a run ended whose session tells of it no more; `undefined` where that is not known. */
  private async _phaseOf(key: string): Promise<Phase | undefined> {
    const [workload = '', run = ''] = key.split('/');
    const known = await first<Snapshot>(listener => this._runs.follow(workload, run, listener));
    return known.kind === 'value' ? known.value.snapshot.phase : undefined;
  }

  private readonly _onVisible = (): void => {
    if (document.visibilityState !== 'visible') {
      this._keep();
      return;
    }
    if (Date.now() - this._kept >= AWAY) {
      this._before = this._read();
    }
    if (this._rows !== null) {
      this._take(this._rows);
    }
  };

  private readonly _keep = (): void => {
    if (this._rows === null) {
      return;
    }
    this._kept = Date.now();
    try {
      this._store.setItem(this._name, JSON.stringify(seen(this._rows.values(), this._kept / 1000)));
    } catch {
      return; // nothing can be kept here
    }
  };

  private _read(): Seen | null {
    try {
      const found: unknown = JSON.parse(this._store.getItem(this._name) ?? 'null');
      return isSeen(found) ? found : null;
    } catch {
      return null;
    }
  }

  private readonly _runs: IRuns;
  private readonly _store: Storage;
  private readonly _name: string;
  private _following: IDisposable | null = null;
  private _rows: ReadonlyMap<string, Row> | null = null;
  private _before: Seen | null = null;
  private _kept = 0;
  private _disposed = false;
}

function isSeen(form: unknown): form is Seen {
  const { at, going } = (form ?? {}) as Partial<Record<keyof Seen, unknown>>;
  return (
    typeof at === 'number' && Array.isArray(going) && going.every(key => typeof key === 'string')
  );
}
