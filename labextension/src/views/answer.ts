/** The first line of a card's body: the one thing wanted in its state. */

import { trans } from '../translation';
import type { DaskCounts, Progress, Shown } from '../wire';
import { h, hide, refill, words } from './dom';
import { about, percent } from './format';
import { TaskBar } from './taskbar';
import { failure, progressed, share } from './words';

/** Progress and time left while it runs; else a sentence. */
export class Answer {
  constructor() {
    this._bar.max = 100;
    this._progress.append(this._done, this._bar, this._tasks.node, this._left);
    this.node.append(this._progress, this._sentence);
  }

  readonly node = h('div', 'gpuw-Answer');

  /** @param shown `null` where nothing is to be said. */
  show(shown: Shown | null): void {
    const progress = shown?.phase === 'Running' ? (shown.progress ?? null) : null;
    hide(this._progress, progress === null);
    hide(this._sentence, progress !== null);
    if (progress !== null) {
      this._move(progress, shown?.dask?.tasks ?? null);
      return;
    }
    const [what, rest] = shown === null ? ['', ''] : failure(shown);
    const failed = shown?.phase === 'Failed' || shown?.phase === 'Lost';
    refill(this._sentence, `${failed}\n${what}\n${rest}`, () => [
      what === '' ? '' : h('span', failed ? 'gpuw-Failed' : '', what),
      rest
    ]);
    hide(this.node, what === '');
  }

  private _move(progress: Progress, counts: DaskCounts | null): void {
    hide(this.node, false);
    const [label, done, rest] = progressed(progress);
    refill(this._done, label + done + rest, () => [label, h('strong', '', done), rest]);
    const known = share(progress);
    hide(this._bar, known === null || counts !== null);
    hide(this._tasks.node, counts === null);
    if (counts !== null) {
      this._tasks.show(counts);
    }
    if (known !== null && this._bar.value !== known) {
      this._bar.value = known;
    }
    words(this._bar, 'aria-label', label + done + rest);
    const left =
      progress.seconds_left == null ? '' : trans.__('about %1 left', about(progress.seconds_left));
    const part = known === null ? '' : percent(known);
    refill(this._left, part + left, () => [
      part === '' ? '' : h('strong', '', part),
      left === '' ? '' : h('span', 'gpuw-Quiet', left)
    ]);
  }

  private readonly _progress = h('div', 'gpuw-Progress');
  private readonly _done = h('span', '');
  private readonly _bar = document.createElement('progress');
  private readonly _tasks = new TaskBar();
  private readonly _left = h('span', 'gpuw-Left');
  private readonly _sentence = h('div', '');
}
