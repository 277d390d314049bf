/** The side panel: every run of the user, what runs first, then what waits, then what has ended. */

import { DisposableSet } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { IRuns, Known } from '../tokens';
import type { Phase, Row } from '../wire';
import { CapacityView } from './capacity';
import { h } from './dom';
import type { Open } from '../models/open';
import { ended } from '../models/phases';
import { matches, RowView } from './row';

/** What a group is called, which phases are in it, and how many rows are drawn: the rest is found by searching. */
const GROUPS: readonly (readonly [string, (phase: Phase) => boolean, number])[] = [
  ['Running', phase => phase === 'Running' || phase === 'Stopping', 500],
  ['Waiting', phase => ['Queued', 'Pending', 'Starting'].includes(phase), 500],
  ['Ended', ended, 50]
];

/** The panel. It follows the list while it is on the screen. */
export class RunsPanel extends Widget {
  /** @param open Opens a run with its log; `null` where that cannot be done. */
  constructor(runs: IRuns, open: Open | null = null) {
    super();
    this.addClass('gpuw-Panel');
    this._runs = runs;
    this._capacity = new CapacityView(runs);
    this._open = open;
    this._search.type = 'search';
    this._search.placeholder = 'Search name, image, id…';
    this._search.setAttribute('aria-label', 'Search runs');
    this._search.addEventListener('input', this._draw);
    this.node.append(
      h('h2', 'gpuw-PanelTitle', 'GPU runs'),
      this._search,
      this._note,
      this._wrong,
      ...this._groups.flatMap(({ heading, list }) => [heading, list]),
      this._capacity.node
    );
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._runs.connectionChanged.connect(this._draw, this);
    this._capacity.shown = true;
    if (this._following === null) {
      this._following = new DisposableSet();
      this._following.add(
        this._runs.followAll(known => {
          this._known = known;
          this._draw();
        })
      );
      this._following.add(
        this._runs.followTargets(known => {
          const targets = known.kind === 'value' ? [...known.value.values()] : [];
          const wrong = targets.filter(target => target.error != null && target.error !== '');
          this._wrong.replaceChildren(
            ...wrong.map(target => h('p', 'gpuw-Note', `${target.name}: ${target.error ?? ''}`))
          );
        })
      );
    }
  }

  protected override onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._let();
  }

  override dispose(): void {
    this._let();
    this._capacity.dispose();
    super.dispose();
  }

  private _let(): void {
    this._runs.connectionChanged.disconnect(this._draw, this);
    this._capacity.shown = false;
    this._following?.dispose();
    this._following = null;
  }

  private readonly _draw = (): void => {
    const rows = this._known.kind === 'value' ? [...this._known.value.values()] : [];
    const word = this._search.value.trim().toLowerCase();
    const found = rows
      .filter(row => matches(row, word))
      .sort((one, other) => other.started - one.started);
    this._note.textContent = this._said(rows.length, found.length);
    this._note.hidden = this._note.textContent === '';
    const parts = this._groups.map(group => ({
      ...group,
      members: found.filter(row => group.belongs(row.phase ?? 'Queued'))
    }));
    for (const { list, members, limit } of parts) {
      this._clear(list, new Set(members.slice(0, limit).map(row => row.id)));
    }
    for (const { title, heading, list, members, limit } of parts) {
      heading.textContent = `${title} · ${members.length}`;
      heading.hidden = members.length === 0;
      members.slice(0, limit).forEach((row, place) => {
        this._put(list, place, row);
      });
    }
  };

  /** Take out of a list the rows that do not belong there any more. */
  private _clear(list: HTMLElement, stay: ReadonlySet<string>): void {
    for (const [id, view] of this._rows) {
      if (view.node.parentNode === list && !stay.has(id)) {
        view.node.remove();
        this._rows.delete(id);
      }
    }
  }

  /** Bring a row to its place, and leave it where it is there already: moving it would take its focus. */
  private _put(list: HTMLElement, place: number, row: Row): void {
    let view = this._rows.get(row.id);
    if (view === undefined) {
      view = new RowView(this._runs, row.id, this._open);
      this._rows.set(row.id, view);
    }
    view.show(row);
    if (list.children[place] !== view.node) {
      list.insertBefore(view.node, list.children[place] ?? null);
    }
  }

  private _said(all: number, found: number): string {
    const { connection } = this._runs;
    if (connection.state === 'missing') {
      return `${connection.why}: jupyter server extension enable gpu_workbench`;
    }
    if (connection.state === 'lost') {
      return 'The server does not answer; what is shown may be old';
    }
    if (this._known.kind === 'error') {
      return this._known.message;
    }
    if (this._known.kind === 'waiting') {
      return 'Looking…';
    }
    if (all === 0) {
      return 'Nothing has run yet. Write %%gpu over a cell';
    }
    return found === 0 ? 'Nothing goes by that' : '';
  }

  private readonly _runs: IRuns;
  private readonly _capacity: CapacityView;
  private readonly _open: Open | null;
  private readonly _search = document.createElement('input');
  private readonly _wrong = h('div', '');
  private readonly _note = h('p', 'gpuw-PanelNote');
  private readonly _rows = new Map<string, RowView>();
  private readonly _groups = GROUPS.map(([title, belongs, limit]) => {
    const list = h('ul', 'gpuw-Rows');
    list.setAttribute('aria-label', title);
    return { title, belongs, limit, list, heading: h('h3', 'gpuw-Group') };
  });
  private _known: Known<ReadonlyMap<string, Row>> = { kind: 'waiting' };
  private _following: DisposableSet | null = null;
}
