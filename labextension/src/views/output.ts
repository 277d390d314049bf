/** A run in a notebook's output. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import type { Open } from '../models/open';
import { MIME_TYPE, snapshotOf } from '../models/snapshot';
import type { IRuns, Known } from '../tokens';
import type { Snapshot } from '../wire';
import { Card } from './card';
import type { Actions } from './card';
import { ended } from '../models/phases';

/**
 * Draws the bundle's snapshot; of a trusted notebook it follows the run as well while that goes on.
 *
 * An untrusted bundle shows its data, and never asks the server for anything.
 */
export class RunView extends Widget implements IRenderMime.IRenderer {
  /** @param open Opens a run with its log; `null` where that cannot be done. */
  constructor(runs: IRuns, open: Open | null = null) {
    super();
    this.addClass('gpuw-Output');
    this._runs = runs;
    this._open = open;
    this.node.append(this._card.node);
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const found = snapshotOf(model.data[MIME_TYPE]);
    if (found === null) {
      this.node.textContent = 'This run was saved by another version of GPU Workbench.';
      return Promise.resolve();
    }
    this._saved = found;
    if (model.trusted && !ended(found.snapshot.phase ?? 'Queued')) {
      this.follow(found.id, found.run);
    } else {
      this._unfollow();
      this._card.show(found, null);
      if (model.trusted) {
        this._runs.connectionChanged.connect(this._drawEnded, this);
        this._drawEnded();
      }
    }
    return Promise.resolve();
  }

  override dispose(): void {
    this._unfollow();
    super.dispose();
  }

  /** Show a run as the server knows it, until the view goes. */
  follow(workload: string, run: string): void {
    const topic = `${workload}/${run}`;
    if (this._topic === topic) {
      return;
    }
    this._unfollow();
    this._topic = topic;
    this._runs.connectionChanged.connect(this._redraw, this);
    this._following = this._runs.follow(workload, run, known => {
      this._known = known;
      this._redraw();
    });
  }

  private _unfollow(): void {
    this._runs.connectionChanged.disconnect(this._redraw, this);
    this._runs.connectionChanged.disconnect(this._drawEnded, this);
    this._following?.dispose();
    this._following = null;
    this._topic = '';
    this._known = { kind: 'waiting' };
  }

  private _redraw(): void {
    const { connection } = this._runs;
    const live = this._known.kind === 'value' ? this._known.value : null;
    const found = live ?? this._saved;
    if (found === null) {
      return;
    }
    let note = '';
    if (connection.state === 'missing') {
      note = `Not live: ${connection.why}; \`jupyter server extension enable gpu_workbench\` adds it`;
    } else if (connection.state === 'lost') {
      note = `Not live: the server does not answer; last seen ${clock(connection.since)}`;
    } else if (this._known.kind === 'error') {
      note = `Not live: ${this._known.message}`;
    }
    const actions = this._runs.mayAct && live !== null && note === '' ? this._actions(found) : null;
    this._card.show(found, actions, note);
  }

  /** Of what has ended there may be a log. */
  private _drawEnded(): void {
    if (this._saved !== null && this._open !== null && this._runs.mayAct) {
      this._card.show(this._saved, this._actions(this._saved));
    }
  }

  private _actions(found: Snapshot): Actions {
    const open = this._open;
    const inSession = found.run !== '' && (found.snapshot.kind ?? 'session') === 'session';
    return {
      stopTitle: inSession
        ? 'Interrupt the cell; its session keeps what it has'
        : 'End it and release its GPUs',
      stop: () =>
        inSession ? this._runs.interrupt(found.id, found.run) : this._runs.stop(found.id),
      keep: seconds => this._runs.keep(found.id, seconds),
      ...(open === null
        ? {}
        : {
            logs: () => {
              open(found.id, found.run, found.snapshot.name ?? '');
            }
          })
    };
  }

  private readonly _runs: IRuns;
  private readonly _open: Open | null;
  private readonly _card = new Card();
  private _saved: Snapshot | null = null;
  private _known: Known<Snapshot> = { kind: 'waiting' };
  private _following: IDisposable | null = null;
  private _topic = '';
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit'
  });
}
