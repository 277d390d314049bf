/** The table of ranks: those that failed first, and only columns of which something is known. */

import { trans } from '../translation';
import type { RankLine, Shown } from '../wire';
import { button, h, refill } from './dom';
import { clocks, memory, percent } from './format';
import { mark, stateOf } from './phases';
import { progressed, worthARow } from './words';

/** Opens the log of a rank. */
export type OpenLog = (rank: number) => void;

interface Column {
  readonly title: string;
  readonly of: (rank: RankLine) => Node | string;
  readonly known: (rank: RankLine) => boolean;
  readonly className?: string;
}

function allColumns(open: OpenLog | null): readonly Column[] {
  return [
    { title: trans.__('rank'), of: rank => h('strong', '', String(rank.rank)), known: () => true },
    { title: trans.__('node'), of: rank => rank.host ?? '', known: rank => filled(rank.host) },
    {
      title: trans.__('phase'),
      of: rank => h('span', '', mark(rank.phase ?? 'Starting'), ' ', rank.phase ?? 'Starting'),
      known: () => true
    },
    {
      title: trans.__('step'),
      of: ({ progress }) => (progress == null ? '' : progressed(progress).join('')),
      known: rank => rank.progress != null
    },
    { title: trans.__('exit'), of: exit, known: rank => exit(rank) !== '' },
    {
      title: trans.__('GPUs'),
      of: rank => String(rank.gpus ?? 0),
      known: rank => (rank.gpus ?? 0) > 1
    },
    { title: trans.__('busy'), of: rank => percent(rank.busy), known: rank => rank.busy != null },
    {
      title: trans.__('memory'),
      of: rank => memory(rank.memory_used, rank.memory_total),
      known: rank => rank.memory_used != null
    },
    {
      title: trans.__('clock'),
      of: rank => {
        const said = clocks(rank.clock, rank.clock_max);
        return filled(rank.slowed)
          ? h('span', 'gpuw-Note', `▲ ${said}, ${rank.slowed ?? ''}`)
          : said;
      },
      known: rank => rank.clock != null
    },
    {
      title: trans.__('reason'),
      of: rank => rank.failure?.what ?? '',
      known: rank => filled(rank.failure?.what),
      className: 'gpuw-Reason'
    },
    {
      title: trans.__('last line'),
      of: rank => h('code', '', rank.last_line ?? ''),
      known: rank => filled(rank.last_line),
      className: 'gpuw-LastLine'
    },
    ...(open === null
      ? []
      : [
          {
            title: trans.__('log'),
            of: ({ rank }: RankLine) => {
              const label = trans.__('Log of rank %1', rank);
              const node = button(trans.__('Log'), label, () => {
                open(rank);
              });
              node.setAttribute('aria-label', label);
              return node;
            },
            known: () => true
          }
        ])
  ];
}

/** The table, made anew when a fact in it changes. */
export class RankTable {
  readonly node = h('div', 'gpuw-Ranks');

  /** @param open Opens the log of a rank; `null` where there is nowhere to open it. */
  show(shown: Shown, open: OpenLog | null): void {
    const [ranks, rest] = worthARow(shown);
    refill(this.node, JSON.stringify([ranks, rest, open !== null]), () => [
      this._table(ranks, open),
      rest === '' ? '' : h('div', 'gpuw-Quiet', rest)
    ]);
  }

  private _table(ranks: readonly RankLine[], open: OpenLog | null): HTMLElement {
    const columns = allColumns(open).filter(column => ranks.some(column.known));
    const titles = columns.map(({ title }) => heading(title));
    const table = h(
      'table',
      'gpuw-Table',
      h('thead', '', h('tr', '', ...titles)),
      h('tbody', '', ...ranks.map(rank => this._row(rank, columns)))
    );
    table.setAttribute('aria-label', trans.__('Ranks'));
    return table;
  }

  private _row(rank: RankLine, columns: readonly Column[]): HTMLElement {
    const cells = columns.map(({ of, known, className }) =>
      h('td', className ?? '', known(rank) ? of(rank) : '–')
    );
    const row = h('tr', '', ...cells);
    row.dataset.state = stateOf(rank.phase ?? 'Starting');
    return row;
  }
}

function heading(title: string): HTMLElement {
  const node = h('th', '', title);
  node.setAttribute('scope', 'col');
  return node;
}

function exit({ failure }: RankLine): string {
  const code = failure?.exit_code == null ? '' : trans.__('exit %1', failure.exit_code);
  return [code, failure?.signal ?? ''].filter(Boolean).join(' · ');
}

function filled(text: string | null | undefined): boolean {
  return text != null && text !== '';
}
