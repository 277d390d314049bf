/** One workload in the panel, refreshed in place, so that what has the focus keeps it. */

import type { IRuns } from '../tokens';
import type { Row } from '../wire';
import { button, h } from './dom';
import { about, percent, seconds } from './format';
import type { Open } from '../models/open';
import { ended } from '../models/phases';
import { mark, stateOf } from './phases';

/** A row of the panel. */
export class RowView {
  /** @param open Opens a run with its log; `null` where that cannot be done. */
  constructor(runs: IRuns, id: string, open: Open | null = null) {
    this._runs = runs;
    this._open = open;
    this._name = button('', 'Open it, with all that it has written', () => {
      open?.(id, '', this._name.textContent);
    });
    this._name.className = 'gpuw-Link';
    this._stop = button('Stop', '', () => void this._end(id));
    this._head.append(this._mark, this._plainName, this._name, this._figure);
    this.node.append(this._head, this._body, this._refused);
    this._body.append(this._said, this._stop);
  }

  readonly node = h('li', 'gpuw-Row');

  /** Show what is known now. */
  show(row: Row): void {
    const phase = row.phase ?? 'Queued';
    const name = nameOf(row);
    this.node.dataset.state = stateOf(phase);
    this.node.title = [row.word ?? phase, placeOf(row), row.image, row.id]
      .filter(Boolean)
      .join(' · ');
    const opens = this._open !== null && this._runs.mayAct;
    this._name.textContent = name;
    this._mark.replaceChildren(mark(phase));
    this._plainName.textContent = name;
    this._plainName.hidden = opens;
    this._name.hidden = !opens;
    this._figure.textContent = figure(row);
    this._said.textContent = row.answer != null && row.answer !== '' ? row.answer : placeOf(row);
    this._stop.hidden = !this._runs.mayAct || ended(phase) || phase === 'Stopping';
    this._stop.title = `End ${name} and release its GPUs`;
    this._stop.setAttribute('aria-label', `Stop ${name}`);
  }

  private async _end(id: string): Promise<void> {
    this._stop.disabled = true;
    this._refused.textContent = '';
    try {
      await this._runs.stop(id);
    } catch (error) {
      this._refused.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      this._stop.disabled = false;
    }
  }

  private readonly _runs: IRuns;
  private readonly _open: Open | null;
  private readonly _name: HTMLButtonElement;
  private readonly _stop: HTMLButtonElement;
  private readonly _mark = h('span', '');
  private readonly _plainName = h('strong', '');
  private readonly _figure = h('span', 'gpuw-Quiet');
  private readonly _head = h('div', 'gpuw-RowHead');
  private readonly _said = h('span', 'gpuw-Quiet');
  private readonly _body = h('div', 'gpuw-RowBody');
  private readonly _refused = h('div', 'gpuw-Note');
}

/** What people call it. */
export function nameOf(row: Row): string {
  return row.name != null && row.name !== '' ? row.name : row.id.slice(0, 8);
}

/** Where it runs, in words. */
function placeOf(row: Row): string {
  const where = row.backend === 'local' ? 'this machine' : row.namespace;
  const gpus = row.gpus ?? '';
  return [gpus, gpus.includes(where ?? '') ? '' : where].filter(Boolean).join(' · ');
}

/** Whether a row goes by what was typed. */
export function matches(row: Row, word: string): boolean {
  return [row.name, row.id, row.image, row.namespace, row.backend].some(
    text => text?.toLowerCase().includes(word) === true
  );
}

/** The one figure of a row. */
export function figure(row: Row): string {
  const { progress } = row;
  const phase = row.phase ?? 'Queued';
  if (ended(phase)) {
    return [phase.toLowerCase(), row.ran == null ? '' : seconds(row.ran)]
      .filter(Boolean)
      .join(' · ');
  }
  if (phase === 'Running' && progress?.total != null && progress.total > 0) {
    return percent(Math.min(100, (100 * progress.done) / progress.total));
  }
  if (row.word === 'Idle' && row.ending != null) {
    return `idle · ends in ${about(row.ending.seconds)}`;
  }
  if (phase === 'Running' && row.busy != null) {
    return `GPU ${percent(row.busy)}`;
  }
  return row.waited == null ? (row.word ?? phase).toLowerCase() : `waited ${seconds(row.waited)}`;
}
