/**
 * The lines of a log: a million and more, in chunks that cost little more than their text.
 *
 * Lines go by their number from 0. Where there is too much text the oldest lines are let go, and keep their numbers.
 */

import { compact, CONTROL, plain, settle, styleAfter, written } from './terminal';
import type { Span } from './terminal';

/** Lines of a chunk. */
export const CHUNK = 4096;

/** Characters of text that are kept: what a browser's tab can hold beside the rest of a notebook. */
export const LIMIT = 256 * 1024 * 1024;

/** Where a line was written to; nobody wrote a remark. */
export type Stream = 'stdout' | 'stderr' | 'remark';

const STREAMS: readonly Stream[] = ['stdout', 'stderr', 'remark'];

/** One line as it is to be read. */
export interface Line {
  readonly stream: Stream;
  readonly spans: readonly Span[];
}

/** Closed lines, first in a list; once there are as many as go in, as one text. */
class Chunk {
  readonly streams = new Uint8Array(CHUNK);
  readonly styles = new Uint16Array(CHUNK);
  lines: string[] | null = [];
  text = '';
  size = 0;

  get count(): number {
    return this.lines?.length ?? this._starts.length - 1;
  }

  push(line: string, stream: number, style: number): void {
    const { lines } = this;
    if (lines === null) {
      return;
    }
    this.streams[lines.length] = stream;
    this.styles[lines.length] = style;
    this.size += line.length + 1;
    if (lines.push(line) === CHUNK) {
      this._seal(lines);
    }
  }

  line(at: number): string {
    if (this.lines !== null) {
      return this.lines[at] ?? '';
    }
    return this.text.slice(this._starts[at], (this._starts[at + 1] ?? 0) - 1);
  }

  /** Lines from one on, with the breaks between them. */
  from(at: number): string {
    return this.lines === null
      ? this.text.slice(this._starts[at], this.text.length - 1)
      : this.lines.slice(at).join('\n');
  }

  /** Let go of the text. */
  clear(): void {
    this.text = '';
    this._starts.fill(0);
    this.size = 0;
  }

  private _seal(lines: readonly string[]): void {
    let start = 0;
    this._starts = new Uint32Array(CHUNK + 1);
    lines.forEach((line, at) => {
      this._starts[at] = start;
      start += line.length + 1;
    });
    this._starts[CHUNK] = start;
    this.text = `${lines.join('\n')}\n`;
    this.lines = null;
  }

  private _starts = new Uint32Array(0);
}

/** All lines of one log. */
export class LogLines {
  /**
   * @param limit Characters of text that are kept.
   */
  constructor(limit: number = LIMIT) {
    this._limit = limit;
  }

  /** How many there are, with those that were let go and the one that is still written. */
  get count(): number {
    return this.closed + (this._open === '' ? 0 : 1);
  }

  /** How many of them will not change any more. */
  get closed(): number {
    const last = this._chunks[this._chunks.length - 1];
    return last === undefined ? 0 : (this._chunks.length - 1) * CHUNK + last.count;
  }

  /** The number of the first one that was not let go. */
  get first(): number {
    return this._dropped * CHUNK;
  }

  /**
   * Add a piece of text, which may begin and end within a line.
   *
   * @param at When it was written, in seconds since 1970.
   */
  append(stream: string, text: string, at: number | null = null): void {
    const number = Math.max(0, STREAMS.indexOf(stream as Stream));
    if (this._open !== '' && this._stream !== number) {
      this._cut[this._stream] = true;
      this.close();
    }
    this._stream = number;
    this._mark(at);
    if (STREAMS[number] === 'remark') {
      this._push(text, 0);
      return;
    }
    let from = 0;
    if (this._cut[number] === true && text !== '') {
      this._cut[number] = false;
      from = /^\r?\n/.exec(text)?.[0].length ?? 0; // that line has been ended already
    }
    for (let end = text.indexOf('\n', from); end >= 0; end = text.indexOf('\n', from)) {
      this._open += text.slice(from, end);
      this._end();
      from = end + 1;
    }
    this._open = compact(this._open + text.slice(from), this._style);
  }

  /** Nothing more comes to the line that is still written. */
  close(): void {
    if (this._open !== '') {
      this._end();
    }
  }

  /** One line. */
  line(number: number): Line {
    const chunk = this._chunks[Math.floor(number / CHUNK)];
    if (number >= this.closed || chunk === undefined) {
      const stream = STREAMS[this._stream] ?? 'stdout';
      return { stream, spans: settle(this._open, this._style) };
    }
    const at = number % CHUNK;
    const style = this._styles[chunk.styles[at] ?? 0] ?? '';
    const stream = STREAMS[chunk.streams[at] ?? 0] ?? 'stdout';
    return { stream, spans: settle(chunk.line(at), style) };
  }

  /** When a line was begun, in seconds since 1970; `null` where that is not known. */
  time(number: number): number | null {
    let [low, high] = [0, this._marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this._marks[middle]?.[0] ?? 0) <= number) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return this._marks[low - 1]?.[1] ?? null;
  }

  /** The letters of closed lines from one on, to the end of its chunk, with the breaks between them. */
  text(number: number): string {
    const chunk = this._chunks[Math.floor(number / CHUNK)];
    const found = chunk?.from(number % CHUNK) ?? '';
    return CONTROL.test(found) ? plain(found) : found;
  }

  private _end(): void {
    const before = this._style;
    const raw = this._open;
    this._open = '';
    if (!CONTROL.test(raw)) {
      this._push(raw, this._numberOf(before));
      return;
    }
    this._held[this._stream] = styleAfter(raw, before);
    this._push(written(settle(raw, before), before), this._numberOf(before));
  }

  private _push(line: string, style: number): void {
    let last = this._chunks[this._chunks.length - 1];
    if (last === undefined || last.lines === null) {
      last = new Chunk();
      this._chunks.push(last);
    }
    const before = last.size;
    last.push(line, this._stream, style);
    this._size += last.size - before;
    while (this._size > this._limit && this._dropped < this._chunks.length - 1) {
      const oldest = this._chunks[this._dropped];
      this._size -= oldest?.size ?? 0;
      oldest?.clear();
      this._dropped += 1;
    }
  }

  private _mark(at: number | null): void {
    const last = this._marks[this._marks.length - 1];
    if (last?.[1] !== at) {
      this._marks.push([this.count, at]);
    }
  }

  /** The style in which what comes next on this stream is written. */
  private get _style(): string {
    return this._held[this._stream] ?? '';
  }

  private _numberOf(style: string): number {
    if (style === '') {
      return 0;
    }
    let number = this._styleNumbers.get(style);
    if (number === undefined) {
      number = this._styles.length < 65_536 ? this._styles.push(style) - 1 : 0;
      this._styleNumbers.set(style, number);
    }
    return number;
  }

  private readonly _limit: number;
  private readonly _chunks: Chunk[] = [];
  private readonly _marks: [number, number | null][] = [];
  private readonly _styles: string[] = [''];
  private readonly _styleNumbers = new Map<string, number>();
  private readonly _held: string[] = ['', '', ''];
  private readonly _cut: boolean[] = [false, false, false];
  private _open = '';
  private _stream = 0;
  private _size = 0;
  private _dropped = 0;
}
