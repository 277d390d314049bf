/** Where something stands in a log: looked for chunk by chunk, so that nothing waits for it, and on as lines come. */

import { CHUNK } from './log';
import type { LogLines } from './log';

/** Lines that are remembered; of more it is said that there are more. */
export const MOST = 1_000_000;

/** Which lines have it. */
export class LogSearch {
  /**
   * @param query What is looked for, letter by letter; not empty.
   * @param exact Whether capital and small letters differ.
   */
  constructor(lines: LogLines, query: string, exact: boolean) {
    this._lines = lines;
    this.pattern = new RegExp(query.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), exact ? 'g' : 'gi');
  }

  /** What is looked for. */
  readonly pattern: RegExp;

  /** Lines that have it, as far as was looked. */
  get count(): number {
    return this._count;
  }

  /** Whether all lines were looked at that will not change any more. */
  get done(): boolean {
    return this._looked >= this._lines.closed || this._count >= MOST;
  }

  /** Look at the next lines, a few thousand; `false` where there are none. */
  advance(): boolean {
    if (this.done) {
      return false;
    }
    const from = Math.max(this._looked, this._lines.first);
    const end = Math.min(this._lines.closed, (Math.floor(from / CHUNK) + 1) * CHUNK);
    this._lookAt(this._lines.text(from), from);
    this._looked = end;
    return true;
  }

  /** The number of a line by its place among those that have it. */
  line(place: number): number {
    return this._hits[place] ?? 0;
  }

  /** The place among those that have it of the first line from one on; `count` where there is none. */
  placeOf(line: number): number {
    let [low, high] = [0, this._count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.line(middle) < line) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private _lookAt(text: string, first: number): void {
    let line = first;
    let seen = 0;
    this.pattern.lastIndex = 0;
    for (let hit = this.pattern.exec(text); hit !== null; hit = this.pattern.exec(text)) {
      for (let end = text.indexOf('\n', seen); end >= 0 && end < hit.index;) {
        line += 1;
        seen = end + 1;
        end = text.indexOf('\n', seen);
      }
      this._add(line);
      const end = text.indexOf('\n', hit.index);
      if (end < 0) {
        return;
      }
      this.pattern.lastIndex = end;
    }
  }

  private _add(line: number): void {
    if (this._count === this._hits.length) {
      const more = new Uint32Array(2 * this._hits.length);
      more.set(this._hits);
      this._hits = more;
    }
    this._hits[this._count] = line;
    this._count += 1;
  }

  private readonly _lines: LogLines;
  private _hits = new Uint32Array(256);
  private _count = 0;
  private _looked = 0;
}
