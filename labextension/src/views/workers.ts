/** The workers of a Dask cluster, one a row: how many of its threads are busy, how full its memory is, what its GPUs do. */

import { trans } from '../translation';
import type { DaskShown, DaskWorkerLine } from '../wire';
import { cpu, gpuMemory, hasGpus, restTitle, speedOf, threads, workerTitle } from './daskwords';
import { h, hide, say, words } from './dom';
import { bytes, memory, percent } from './format';

/** What is shown of each worker. */
interface Column {
  readonly title: string;
  readonly of: (line: DaskWorkerLine) => string;

  /** Per cent of a bar below it; `null` where it is not known, `undefined` for no bar. */
  readonly share?: (line: DaskWorkerLine) => number | null | undefined;

  /** The colour of that bar. */
  readonly state?: (line: DaskWorkerLine) => string;

  /** How much room there has to be for it. */
  readonly room?: 'some' | 'much';
}

/** Those of which something is known. */
function columnsOf({ all = {}, workers = [] }: DaskShown): Column[] {
  const found: Column[] = [
    {
      title: trans.__('threads'),
      of: threads,
      share: line => part(line.executing ?? 0, line.threads),
      state: () => 'run'
    },
    { title: trans.__('CPU'), of: cpu, room: 'much' },
    {
      title: trans.__('memory'),
      of: line => memory(line.memory, line.memory_limit),
      share: line => part(line.memory, line.memory_limit),
      state: line => (/^(paused|memory)/.test(line.note ?? '') ? 'wait' : 'quiet')
    }
  ];
  if ((all.spilled ?? 0) > 0) {
    const spilled = (line: DaskWorkerLine) =>
      (line.spilled ?? 0) > 0 ? bytes(line.spilled ?? 0) : '';
    found.push({ title: trans.__('spilled'), of: spilled, room: 'some' });
  }
  if (speedOf(all.received) + speedOf(all.sent) !== '') {
    found.push(
      { title: trans.__('in'), of: line => speedOf(line.received), room: 'much' },
      { title: trans.__('out'), of: line => speedOf(line.sent), room: 'much' }
    );
  }
  if (hasGpus(all)) {
    found.push(
      {
        title: trans.__('GPU'),
        of: line => (hasGpus(line) ? percent(line.busy) : ''),
        share: line => (hasGpus(line) ? part(line.busy, 100) : undefined),
        state: () => 'run'
      },
      {
        title: trans.__('GPU memory'),
        of: line => (hasGpus(line) ? gpuMemory(line) : ''),
        room: 'some'
      }
    );
  }
  if (workers.some(({ note }) => (note ?? '') !== '')) {
    found.push({ title: '', of: line => line.note ?? '', room: 'some' });
  }
  return found;
}

/** The table, refreshed in place; it is made anew when it has other columns. */
export class WorkerTable {
  constructor() {
    this._table.setAttribute('aria-label', trans.__('Workers'));
    this._table.append(h('thead', '', this._head), this._body);
    this.node.append(this._table);
  }

  readonly node = h('div', 'gpuw-Workers');

  /**
   * Show these workers, and in a last row the others together.
   *
   * @param lines Which of them; all that are told of one by one.
   */
  show(dask: DaskShown, lines?: readonly DaskWorkerLine[]): void {
    const columns = columnsOf(dask);
    const titles = columns.map(({ title }) => title).join('\n');
    if (this._titles !== titles) {
      this._titles = titles;
      this._head.replaceChildren(heading(trans.__('worker')), ...columns.map(headingOf));
      this._rows.clear();
      this._body.replaceChildren();
    }
    const rest = lines === undefined && dask.rest != null ? [dask.rest] : [];
    const shown = [...(lines ?? dask.workers ?? []), ...rest];
    const names = shown.map(({ name }) => name ?? '');
    for (const [name, row] of this._rows) {
      if (!names.includes(name)) {
        row.node.remove();
        this._rows.delete(name);
      }
    }
    shown.forEach((line, place) => {
      const name = names[place] ?? '';
      let row = this._rows.get(name);
      if (row === undefined) {
        row = new WorkerRow(columns);
        this._rows.set(name, row);
      }
      row.show(line, nonEmpty(line.name) ?? restTitle(dask), columns);
      if (this._body.children[place] !== row.node) {
        this._body.insertBefore(row.node, this._body.children[place] ?? null);
      }
    });
  }

  private readonly _table = h('table', 'gpuw-Table');
  private readonly _head = h('tr', '');
  private readonly _body = h('tbody', '');
  private readonly _rows = new Map<string, WorkerRow>();
  private _titles: string | null = null;
}

/** One worker. */
class WorkerRow {
  constructor(columns: readonly Column[]) {
    this._name.setAttribute('scope', 'row');
    this._name.append(this._apart, this._said);
    this.node.append(this._name);
    this._apart.setAttribute('aria-hidden', 'true'); // the title says it
    this._cells = columns.map(column => {
      const text = h('span', column.title === '' ? 'gpuw-Note' : '');
      const bar = h('span', '');
      const room = h('div', 'gpuw-Memory', bar);
      const cell = h('td', classOf(column), text, column.share === undefined ? null : room);
      this.node.append(cell);
      return { text, bar, room };
    });
  }

  readonly node = h('tr', '');

  show(line: DaskWorkerLine, name: string, columns: readonly Column[]): void {
    const title = workerTitle(line);
    words(this._name, 'title', title);
    say(this._said, name);
    hide(this._apart, (line.note ?? '') === '');
    columns.forEach(({ of, share, state }, place) => {
      const cell = this._cells[place];
      if (cell === undefined) {
        return;
      }
      say(cell.text, of(line));
      if (share !== undefined) {
        const full = share(line);
        hide(cell.room, full === undefined);
        words(cell.room, 'class', full === null ? 'gpuw-Memory gpuw-mod-unknown' : 'gpuw-Memory');
        words(cell.room, 'data-state', state?.(line) ?? 'run');
        words(cell.bar, 'style', `transform: scaleX(${((full ?? 0) / 100).toFixed(3)})`);
      }
    });
  }

  private readonly _name = h('th', '');
  private readonly _apart = h('span', 'gpuw-Note', '▲ ');
  private readonly _said = h('strong', '');
  private readonly _cells: readonly {
    readonly text: HTMLElement;
    readonly bar: HTMLElement;
    readonly room: HTMLElement;
  }[];
}

function headingOf(column: Column): HTMLElement {
  const node = heading(column.title);
  node.className = classOf(column);
  return node;
}

function heading(title: string): HTMLElement {
  const node = h('th', '', title);
  node.setAttribute('scope', 'col');
  return node;
}

function classOf({ title, room }: Column): string {
  const goes = room === undefined ? '' : ` gpuw-mod-${room}`;
  return `${title === '' ? 'gpuw-WorkerNote' : 'gpuw-Number'}${goes}`;
}

/** Per cent of what there is; `null` where that is not known. */
function part(used: number | null | undefined, all: number | null | undefined): number | null {
  return used == null || all == null || all <= 0
    ? null
    : Math.min(100, Math.max(0, (100 * used) / all));
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
