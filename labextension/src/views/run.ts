/** A run with a place of its own: its live view, and below it all that it has written. */

import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { LogFeed } from '../models/feed';
import { LogLines } from '../models/log';
import type { ILogs } from '../models/logs';
import type { IRuns } from '../tokens';
import { LogView } from './log';
import { RunView } from './output';

/** The document of one run, or of all runs of a workload. It follows while it is on the screen. */
export class RunDocument extends Widget {
  /**
   * @param run Which run; empty for all of the workload.
   * @param rank Which rank's log.
   */
  constructor(runs: IRuns, logs: ILogs, workload: string, run: string, rank = 0) {
    super();
    this.addClass('gpuw-Document');
    this.workload = workload;
    this.run = run;
    this.rank = rank;
    this._card = new RunView(runs);
    const lines = new LogLines();
    this._feed = new LogFeed(logs, runs, workload, run, lines, rank);
    this._log = new LogView(lines, this._feed, logs.file(workload, run, rank));
    this.node.append(this._card.node, this._log.node);
    this._card.follow(workload, run);
  }

  readonly workload: string;
  readonly run: string;
  readonly rank: number;

  override dispose(): void {
    if (!this.isDisposed) {
      this._log.dispose();
      this._feed.dispose();
      this._card.dispose();
    }
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (this.isVisible) {
      this._feed.start();
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._feed.start();
  }

  protected override onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._feed.stop();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this._log.focus();
  }

  private readonly _card: RunView;
  private readonly _feed: LogFeed;
  private readonly _log: LogView;
}
