/** A run in a notebook's output. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import { inSession, waitsInSession } from '../models/cell';
import type { Open } from '../models/open';
import { MIME_TYPE, snapshotOf, undrawable } from '../models/snapshot';
import type { IRuns, Known } from '../tokens';
import { trans } from '../translation';
import type { Snapshot } from '../wire';
import { Card } from './card';
import type { Actions } from './card';
import { h } from './dom';
import { unwatch, watch } from './screen';
import { ended } from '../models/phases';

/** Detaches the run of a cell that waits. */
export type Detach = (workload: string, run: string) => void;

/**
 * Draws the bundle's snapshot; of a trusted notebook it follows the run as well, while that goes on and it is on the screen.
 *
 * An untrusted bundle shows its data, and never asks the server for anything.
 */
export class RunView extends Widget implements IRenderMime.IRenderer {
  /**
   * @param open Opens a run with its log; `null` where that cannot be done.
   * @param versions What it is seen with, for reports: `JupyterLab 4.6.0`.
   * @param detach Lets the run of a cell that waits go on without its notebook; `null` where there is no cell.
   */
  constructor(
    runs: IRuns,
    open: Open | null = null,
    versions: readonly string[] = [],
    detach: Detach | null = null
  ) {
    super();
    this.addClass('gpuw-Output');
    this._runs = runs;
    this._open = open;
    this._detach = detach;
    this._card = new Card(versions);
    this.node.append(this._card.node);
    watch(this.node, {
      seen: is => {
        this._seen = is;
        this._listen();
      }
    });
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const found = snapshotOf(model.data[MIME_TYPE]);
    if (found === null) {
      this._showText(model);
      return Promise.resolve();
    }
    if (this._card.node.parentNode !== this.node) {
      this.node.replaceChildren(this._card.node);
    }
    this._saved = found;
    if (model.trusted && !ended(found.snapshot.phase ?? 'Queued')) {
      if (found.package != null) {
        this._runs.versions.saw(found.package);
      }
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
    unwatch(this.node);
    this._unfollow();
    this._card.dispose();
    super.dispose();
  }

  /** What cannot be drawn is shown as the text beside it. */
  private _showText(model: IRenderMime.IMimeModel): void {
    this._unfollow();
    const text = model.data['text/plain'];
    this.node.replaceChildren(
      h('p', 'gpuw-Quiet gpuw-Undrawable', undrawable(model.data[MIME_TYPE])),
      h('pre', '', typeof text === 'string' ? text : '')
    );
  }

  /** Show a run as the server knows it, until the view goes. */
  follow(workload: string, run: string): void {
    const topic = `${workload}/${run}`;
    if (this._topic === topic) {
      return;
    }
    this._unfollow();
    this._topic = topic;
    this._wanted = { workload, run };
    this._runs.connectionChanged.connect(this._redraw, this);
    this._redraw();
    this._listen();
  }

  private _unfollow(): void {
    this._runs.connectionChanged.disconnect(this._redraw, this);
    this._runs.connectionChanged.disconnect(this._drawEnded, this);
    this._following?.dispose();
    this._following = null;
    this._wanted = null;
    this._topic = '';
    this._known = { kind: 'waiting' };
  }

  /** Hear of it while it is on the screen; what was heard last stays. */
  private _listen(): void {
    if (!this._seen) {
      this._following?.dispose();
      this._following = null;
    } else if (this._wanted !== null && this._following === null) {
      const { workload, run } = this._wanted;
      this._following = this._runs.follow(workload, run, known => {
        if (known.kind !== 'waiting' || this._known.kind !== 'value') {
          this._known = known;
          this._redraw();
        }
      });
    }
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
      note = trans.__('Not live: %1. %2', connection.why, connection.fix);
    } else if (connection.state === 'lost') {
      note = trans.__(
        'Not live: the server does not answer; last seen %1',
        clock(connection.since)
      );
    } else if (this._known.kind === 'error') {
      note = trans.__('Not live: %1', this._known.message);
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
    const [open, detach] = [this._open, this._detach];
    const ofSession = inSession(found);
    return {
      stopTitle: ofSession
        ? trans.__('Interrupt the cell; its session keeps what it has')
        : trans.__('End it and release its GPUs'),
      stop: () =>
        ofSession ? this._runs.interrupt(found.id, found.run) : this._runs.stop(found.id),
      keep: seconds => this._runs.keep(found.id, seconds),
      ...(found.snapshot.dask?.dashboard === true
        ? { dashboard: this._runs.dashboard(found.id, found.where.backend) }
        : {}),
      ...(detach === null || !waitsInSession(found)
        ? {}
        : {
            detach: () => {
              detach(found.id, found.run);
            }
          }),
      ...(open === null
        ? {}
        : {
            logs: (rank = 0) => {
              open(found.id, found.run, found.snapshot.name ?? '', rank);
            }
          })
    };
  }

  private readonly _runs: IRuns;
  private readonly _open: Open | null;
  private readonly _detach: Detach | null;
  private readonly _card: Card;
  private _saved: Snapshot | null = null;
  private _known: Known<Snapshot> = { kind: 'waiting' };
  private _following: IDisposable | null = null;
  private _wanted: { readonly workload: string; readonly run: string } | null = null;
  private _topic = '';
  private _seen = true;
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit'
  });
}
