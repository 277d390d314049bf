/** The rows of a log that are on the screen, with their numbers beside them. */

import type { LogLines, Stream } from '../models/log';
import type { Span } from '../models/terminal';
import { trans } from '../translation';
import { nodesOf } from './ansi';
import { h } from './dom';

/** Pixels of a row; the style sheet has it too. */
export const ROW = 18;

/** Made once: to make one takes longer than to draw a row. */
export const NUMBERS = new Intl.NumberFormat('en');
const CLOCK = new Intl.DateTimeFormat([], {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit'
});

/** Characters of a line that are drawn. */
const WIDEST = 10_000;

/** What stands left of a row: its number, and a mark where it is no plain output. */
const GUTTER: Readonly<Record<string, (number: string) => string>> = {
  stdout: number => `${number}  \n`,
  stderr: number => `${number} !\n`,
  remark: () => '— \n'
};

/** What is marked in them. */
export interface Marked {
  /** What is searched for. */
  readonly pattern: RegExp | null;

  /** The line that was chosen; -1 for none. */
  readonly current: number;
}

/** Rows are made as they are needed, and used again. */
export class LogRows {
  constructor(lines: LogLines) {
    this._lines = lines;
    this._gutter.setAttribute('aria-hidden', 'true');
    this.node.append(this._gutter, this._rows);
  }

  readonly node = h('div', 'gpuw-LogWindow jp-RenderedText');

  /** Pixels of the widest row, its number included. */
  get width(): number {
    return this._gutter.offsetWidth + this._rows.scrollWidth;
  }

  /** Draw all of them anew the next time: something else is marked. */
  forget(): void {
    this._stale = true;
  }

  /** Move them up by a part of a row. */
  shift(pixels: number): void {
    for (const node of [this._gutter, this._rows]) {
      node.style.transform = `translateY(${pixels}px)`;
    }
  }

  /** Have the rows of these lines, and leave those as they are that are there already: somebody may select in them. */
  show(from: number, to: number, marked: Marked): void {
    const free: HTMLElement[] = [];
    for (const [number, row] of this._shown) {
      if (number < from || number >= to || number >= this._changing || this._stale) {
        free.push(row);
        this._shown.delete(number);
      }
    }
    this._stale = false;
    this._changing = this._lines.closed;
    let gutter = '';
    let next: Element | null = this._rows.firstElementChild;
    for (let number = from; number < to; number++) {
      let row = this._shown.get(number);
      if (row === undefined) {
        row = free.shift() ?? h('div', 'gpuw-LogRow');
        this._fill(row, number, marked);
        if (row !== next) {
          this._rows.insertBefore(row, next);
        }
        this._shown.set(number, row);
      }
      next = row.nextElementSibling;
      gutter += GUTTER[row.dataset.stream ?? '']?.(NUMBERS.format(number + 1)) ?? '\n';
    }
    for (const row of free) {
      row.remove();
    }
    if (this._gutter.textContent !== gutter) {
      this._gutter.textContent = gutter;
    }
  }

  private _fill(row: HTMLElement, number: number, marked: Marked): void {
    const { stream, spans } = this._lines.line(number);
    row.replaceChildren(...nodesOf(bounded(spans), marked.pattern));
    if (row.dataset.stream !== stream) {
      row.dataset.stream = stream;
    }
    const at = this._lines.time(number);
    row.title = [writerOf(stream), at === null ? '' : CLOCK.format(at * 1000)]
      .filter(Boolean)
      .join(' · ');
    row.classList.toggle('gpuw-mod-current', number === marked.current);
  }

  private readonly _lines: LogLines;
  private readonly _gutter = h('pre', 'gpuw-LogGutter');
  private readonly _rows = h('pre', 'gpuw-LogRows');
  private readonly _shown = new Map<number, HTMLElement>();
  private _changing = 0;
  private _stale = false;
}

/** Where a line was written to; nothing for plain output. */
function writerOf(stream: Stream): string {
  if (stream === 'remark') {
    return trans.__('remark');
  }
  return stream === 'stdout' ? '' : stream;
}

/** As much of a line as can be drawn. */
function bounded(spans: readonly Span[]): readonly Span[] {
  const length = spans.reduce((sum, span) => sum + span.text.length, 0);
  if (length <= WIDEST) {
    return spans;
  }
  const found: Span[] = [];
  let room = WIDEST;
  for (const span of spans) {
    if (room > 0) {
      found.push({ style: span.style, text: span.text.slice(0, room) });
      room -= span.text.length;
    }
  }
  const rest = trans.__(
    '%1 characters more; the download has them',
    NUMBERS.format(length - WIDEST)
  );
  return [...found, { style: '2', text: ` … ${rest}` }];
}
