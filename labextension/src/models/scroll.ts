/**
 * Where in a log one is, whatever the length: a browser has no element as high as a million lines at every zoom.
 *
 * Up to a height that all browsers have, the place is the scroller's own. Above it the scroller is lower than the log: a
 * short way in it is the same way in the log, and a long one, with its bar, goes by share.
 */

/** Pixels that every browser has at every zoom (Chromium has 33 million of the screen's, Firefox 17). */
export const HIGHEST = 5_000_000;

/** A place in rows, as pixels from the first. */
export class Scroll {
  /** @param highest Pixels of the scroller's content at most. */
  constructor(highest: number = HIGHEST) {
    this._highest = highest;
  }

  /** Pixels from the top of the first row to the top of what is seen. */
  get top(): number {
    return this._top;
  }

  /** Pixels of the scroller's content. */
  get height(): number {
    return Math.min(this._rows, this._highest);
  }

  /** The furthest place. */
  get bottom(): number {
    return Math.max(0, this._rows - this._seen);
  }

  /** Whether the last row is seen. */
  get atEnd(): boolean {
    return this._top >= this.bottom - 2;
  }

  /** Where the scroller has to be for this place. */
  get scrollTop(): number {
    return this._top / this._scale;
  }

  /**
   * @param rows Pixels of all rows.
   * @param seen Pixels that are seen at once.
   */
  resize(rows: number, seen: number): void {
    this._rows = rows;
    this._seen = seen;
    this.go(this._top);
  }

  /** Go to a place; the scroller has to follow. */
  go(top: number): void {
    this._top = Math.min(Math.max(0, top), this.bottom);
  }

  /** The scroller was put there. */
  put(scrollTop: number): void {
    this._was = scrollTop;
  }

  /** The scroller was moved. `false` where it stands where it was put. */
  moved(scrollTop: number): boolean {
    const way = scrollTop - this._was;
    if (way === 0) {
      return false;
    }
    const end = this.height - this._seen;
    const short = Math.abs(way) < 2 * this._seen && scrollTop > 0 && scrollTop < end - 1;
    const top = this._scale === 1 || !short ? scrollTop * this._scale : this._top + way;
    this._top = Math.min(Math.max(0, top), this.bottom);
    this._was = scrollTop;
    return true;
  }

  private get _scale(): number {
    const own = this.height - this._seen;
    return own > 0 && this._rows > this._highest ? this.bottom / own : 1;
  }

  private readonly _highest: number;
  private _rows = 0;
  private _seen = 0;
  private _top = 0;
  private _was = 0;
}
