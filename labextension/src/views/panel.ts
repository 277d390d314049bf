/** The side panel: every run of the user, what runs first, then what waits, then what has ended. */

import { DisposableSet } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { groupsOf } from '../models/listing';
import type { Filter, Group } from '../models/listing';
import { KEEP } from '../models/keep';
import type { Since } from '../models/since';
import type { IRuns, Known } from '../tokens';
import { trans } from '../translation';
import type { Row } from '../wire';
import { CapacityView } from './capacity';
import { button, h } from './dom';
import { RowView } from './row';
import type { RowActions } from './row';
import { SinceLine } from './since';
import { VirtualList } from './virtual';
import type { Drawn } from './virtual';

/** What the panel cannot do itself. */
export type PanelActions = Pick<RowActions, 'open' | 'notebook' | 'attach'>;

type Item = { readonly key: string } & ({ readonly group: Group } | { readonly row: Row });

/** What the list can be narrowed to, with words and what they mean. */
function filters(): readonly (readonly [Filter, string, string])[] {
  return [
    ['notebook', trans.__('This notebook'), trans.__('Those of the notebook that is open')],
    [
      'failed',
      trans.__('Failed'),
      trans.__('Those that failed or were lost, and sessions whose last cell did')
    ],
    ['idle', trans.__('Idle'), trans.__('Sessions in which no cell runs')]
  ];
}

/** Heights of a row and of a heading, in the height of the text. */
const ROW = 3.7;
const HEADING = 2.4;

/** The panel. It follows the list while it is on the screen. */
export class RunsPanel extends Widget {
  constructor(runs: IRuns, actions: PanelActions) {
    super();
    this.addClass('gpuw-Panel');
    this._runs = runs;
    this._capacity = new CapacityView(runs);
    this._actions = {
      ...actions,
      get mayAct() {
        return runs.mayAct;
      },
      keep: row => void this._do(this._runs.keep(row.id, KEEP)),
      stop: row => void this._do(this._runs.stop(row.id))
    };
    this._search.type = 'search';
    this._search.placeholder = trans.__('Search name, notebook…');
    this._search.setAttribute('aria-label', trans.__('Search runs'));
    this._search.addEventListener('input', this._draw);
    this._refused.setAttribute('role', 'alert');
    const head = h(
      'div',
      'gpuw-PanelTop',
      h('div', 'gpuw-PanelHead', h('h2', 'gpuw-PanelTitle', trans.__('GPU runs')), this.actions),
      this._versions,
      this.top
    );
    head.append(
      this._since.node,
      this._search,
      this._chips,
      this._note,
      this._refused,
      this._wrong
    );
    this._chips.append(...this._filters.values());
    this.node.append(head, this._list.node, this._capacity.node);
    this.setNotebook('');
  }

  /** Which notebook is open, as Jupyter's contents API has its path; empty for none. */
  setNotebook(path: string): void {
    this._notebook = path;
    const chip = this._filters.get('notebook');
    if (chip !== undefined) {
      chip.disabled = path === '';
    }
    this._draw();
  }

  /** What has ended while nobody looked. */
  setSince(found: Since | null): void {
    this._since.show(found);
  }

  /** Beside the title, for buttons. */
  readonly actions = h('div', 'gpuw-PanelActions');

  /** Above the list. */
  readonly top = h('div', '');

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._runs.connectionChanged.connect(this._draw, this);
    this._capacity.shown = true;
    this._runs.versions.changed.connect(this._draw, this);
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

  protected override onResize(message: Widget.ResizeMessage): void {
    super.onResize(message);
    this._list.draw();
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

  /** Let the server know which rows are to be kept up to date. */
  private _see(keys: Iterable<string>): void {
    const known =
      this._known.kind === 'value' && this._following !== null ? this._known.value : null;
    this._runs.see(known === null ? [] : [...keys].filter(key => known.has(key)));
  }

  private _let(): void {
    this._runs.see([]);
    this._runs.connectionChanged.disconnect(this._draw, this);
    this._capacity.shown = false;
    this._runs.versions.changed.disconnect(this._draw, this);
    this._following?.dispose();
    this._following = null;
  }

  private readonly _draw = (): void => {
    const rows = this._known.kind === 'value' ? this._known.value : new Map<string, Row>();
    const groups = groupsOf(
      rows.values(),
      {
        word: this._search.value,
        filters: this._chosen,
        notebook: this._notebook,
        only: this._only
      },
      new Date()
    );
    this._note.textContent = this._said(rows.size, groups.length);
    this._note.hidden = this._note.textContent === '';
    const understood = this._runs.connection.state !== 'missing';
    this._versions.textContent = understood ? this._runs.versions.said : '';
    this._versions.hidden = this._versions.textContent === '';
    this._chips.hidden = rows.size === 0;
    this._textHeight = Number.parseFloat(getComputedStyle(this.node).fontSize) || 13;
    this._list.show(
      groups.flatMap((group): Item[] => [
        { key: group.title, group },
        ...group.rows.map(row => ({ key: row.id, row }))
      ])
    );
  };

  private async _do(asked: Promise<void>): Promise<void> {
    this._refused.textContent = '';
    try {
      await asked;
    } catch (error) {
      this._refused.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  private _said(all: number, found: number): string {
    const { connection } = this._runs;
    if (connection.state === 'missing') {
      return `${connection.why}. ${connection.fix}`;
    }
    if (connection.state === 'lost') {
      return trans.__('The server does not answer; what is shown may be old');
    }
    if (this._known.kind === 'error') {
      return this._known.message;
    }
    if (this._known.kind === 'waiting') {
      return trans.__('Looking…');
    }
    if (all === 0) {
      return trans.__(
        'Nothing has run yet. Write %1 over a cell, or press GPU above a notebook. %2 says what there is to run on',
        '%%gpu',
        '%gpu doctor'
      );
    }
    return found === 0 ? trans.__('Nothing goes by that') : '';
  }

  private _toggle(filter: Filter): void {
    if (!this._chosen.delete(filter)) {
      this._chosen.add(filter);
    }
    this._filters.get(filter)?.setAttribute('aria-pressed', String(this._chosen.has(filter)));
    this._draw();
  }

  private _make(item: Item): Drawn<Item> {
    if ('group' in item) {
      return new Heading();
    }
    const view = new RowView(this._actions, item.row);
    return {
      node: view.node,
      show: one => {
        if ('row' in one) {
          view.show(one.row);
        }
      },
      reach: current => {
        view.reach(current);
      },
      focus: () => {
        view.focus();
      }
    };
  }

  private readonly _runs: IRuns;
  private readonly _capacity: CapacityView;
  private readonly _actions: RowActions;
  private readonly _search = document.createElement('input');
  private readonly _wrong = h('div', '');
  private readonly _refused = h('p', 'gpuw-Note');
  private readonly _note = h('p', 'gpuw-PanelNote');
  private readonly _versions = h('p', 'gpuw-PanelNote');
  private readonly _chips = h('div', 'gpuw-Chips');
  private readonly _since = new SinceLine(only => {
    this._only = only;
    this._draw();
  });
  private readonly _filters = new Map(
    filters().map(([filter, label, title]) => {
      const chip = button(label, title, () => {
        this._toggle(filter);
      });
      chip.className = 'gpuw-Chip';
      chip.setAttribute('aria-pressed', 'false');
      return [filter, chip];
    })
  );
  private readonly _chosen = new Set<Filter>();
  private readonly _list = new VirtualList<Item>({
    key: item => item.key,
    height: item => Math.round(this._textHeight * ('group' in item ? HEADING : ROW)),
    focusable: item => 'row' in item,
    make: item => this._make(item),
    drawn: keys => {
      this._see(keys);
    }
  });
  private _textHeight = 13;
  private _notebook = '';
  private _only: ReadonlySet<string> | null = null;
  private _known: Known<ReadonlyMap<string, Row>> = { kind: 'waiting' };
  private _following: DisposableSet | null = null;
}

/** What stands above a group: what it is, how many there are, and what they have in all. */
class Heading implements Drawn<Item> {
  readonly node = h('h3', 'gpuw-Group');

  show(item: Item): void {
    if ('group' in item) {
      const { title, sum, rows } = item.group;
      this.node.replaceChildren(h('span', '', `${title} · ${rows.length}`), h('span', '', sum));
    }
  }

  reach(): void {
    return; // arrow keys pass over it
  }

  focus(): void {
    return;
  }
}
