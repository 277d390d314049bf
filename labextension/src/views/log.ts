/** A log on the screen: of a million lines, those that are seen. */

import type { LogFeed } from '../models/feed';
import type { LogLines } from '../models/log';
import { Scroll } from '../models/scroll';
import { LogSearch } from '../models/search';
import { trans } from '../translation';
import { h } from './dom';
import { LogBar } from './logbar';
import { LogRows, NUMBERS, ROW } from './logrows';

/** Milliseconds of searching after which others have their turn. */
const TURN = 8;

/** Milliseconds after the last movement at which it is over. */
const REST = 150;

/** The viewer of one log. It draws while it is attached to the page. */
export class LogView {
  /**
   * @param file Where all of it is as a file.
   */
  constructor(lines: LogLines, feed: LogFeed, file: string) {
    this._lines = lines;
    this._feed = feed;
    this._rows = new LogRows(lines);
    this._bar = new LogBar(
      {
        follow: on => {
          this._follow(on);
        },
        look: (query, exact) => {
          this._look(query, exact);
        },
        step: forward => {
          this._step(forward);
        }
      },
      file
    );
    this._scroller.tabIndex = 0;
    this._scroller.setAttribute('role', 'log');
    this._scroller.setAttribute('aria-live', 'off'); // lines come faster than anybody can hear them
    this._scroller.setAttribute('aria-label', trans.__('Lines of the log'));
    this._content.append(this._rows.node);
    this._scroller.append(this._content);
    this.node.append(this._bar.node, this._why, this._scroller);
    this._scroller.addEventListener('scroll', this._onScroll, { passive: true });
    this.node.addEventListener('keydown', this._onKey);
    feed.changed.connect(this._onNews, this);
    this._sizes.observe(this._scroller);
    this._follow(true);
  }

  readonly node = h('div', 'gpuw-Log');

  /** Go to its lines. */
  focus(): void {
    this._scroller.focus();
  }

  dispose(): void {
    this._disposed = true;
    this._feed.changed.disconnect(this._onNews, this);
    this._sizes.disconnect();
    window.clearTimeout(this._resting);
    window.clearTimeout(this._searching);
    cancelAnimationFrame(this._frame);
  }

  private readonly _onNews = (): void => {
    this._searchOn();
    this._update();
  };

  /** Draw before the next picture of the page. */
  private _update(): void {
    if (this._frame === 0 && !this._disposed) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this._draw();
      });
    }
  }

  private _draw(): void {
    const { clientHeight } = this._scroller;
    const { first, count } = this._lines;
    this._say(count);
    if (clientHeight === 0) {
      return; // it is not on the screen
    }
    this._measure();
    if (this._following) {
      this._scroll.go(this._scroll.bottom);
    }
    this._content.style.height = `${this._scroll.height}px`;
    this._rows.node.style.height = `${Math.min(clientHeight, Math.max(ROW, this._scroll.height))}px`;
    if (this._following || !this._moving) {
      this._place();
    }
    const top = Math.floor(this._scroll.top / ROW);
    const bottom = Math.min(count - first, Math.ceil((this._scroll.top + clientHeight) / ROW));
    this._rows.show(first + top, first + bottom, {
      pattern: this._search?.pattern ?? null,
      current: this._current
    });
    this._rows.shift(top * ROW - this._scroll.top);
  }

  private _measure(): void {
    const { first, count } = this._lines;
    this._scroll.resize((count - first) * ROW, this._scroller.clientHeight);
  }

  /** Put the scroller where its place is. */
  private _place(): void {
    if (Math.abs(this._scroller.scrollTop - this._scroll.scrollTop) >= 1) {
      this._scroller.scrollTop = this._scroll.scrollTop;
      this._scroll.put(this._scroller.scrollTop);
    }
  }

  private _say(count: number): void {
    const lines = trans._n('%2 line', '%2 lines', count, NUMBERS.format(count));
    this._bar.showLines(this._feed.reading ? trans.__('Reading… %1', lines) : lines);
    const why = this._feed.failed || count === 0 ? this._feed.why : '';
    const nothing = this._feed.over
      ? trans.__('Nothing was written')
      : trans.__('Nothing has been written yet');
    const text = why !== '' || count > 0 || this._feed.reading ? why : nothing;
    if (this._why.textContent !== text) {
      this._why.textContent = text;
    }
    this._why.hidden = text === '';
  }

  // moving

  private readonly _onScroll = (): void => {
    this._measure(); // where there is more room now, the browser itself has moved what is in it
    if (!this._scroll.moved(this._scroller.scrollTop)) {
      return;
    }
    this._follow(this._scroll.atEnd);
    this._moving = true;
    window.clearTimeout(this._resting);
    this._resting = window.setTimeout(this._rest, REST);
    this._update();
  };

  private readonly _rest = (): void => {
    this._moving = false;
    this._widen();
    this._update();
  };

  /** Be as wide as the widest row so far, so that the bar below does not jump. */
  private _widen(): void {
    const { width } = this._rows;
    if (width > this._width && this._scroller.clientWidth > 0) {
      this._width = width;
      this._content.style.minWidth = `${width}px`;
    }
  }

  private _follow(on: boolean): void {
    this._following = on;
    this._bar.showFollow(on);
    if (on) {
      this._update();
    }
  }

  private _go(line: number): void {
    this._follow(false);
    const place = (line - this._lines.first) * ROW;
    if (
      place < this._scroll.top ||
      place > this._scroll.top + this._scroller.clientHeight - 2 * ROW
    ) {
      this._scroll.go(place - this._scroller.clientHeight / 2);
    }
    this._moving = false;
    this._rows.forget();
    this._update();
  }

  private readonly _onKey = (event: KeyboardEvent): void => {
    const plain = !event.altKey && !event.shiftKey;
    const control = event.ctrlKey || event.metaKey;
    if (control && plain && event.key.toLowerCase() === 'f') {
      this._bar.focusSearch();
    } else if (event.target === this._scroller && plain && !control && event.key === 'Home') {
      this._go(this._lines.first);
    } else if (event.target === this._scroller && plain && !control && event.key === 'End') {
      this._follow(true);
    } else if (event.key === 'Escape' && event.target !== this._scroller) {
      this._scroller.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  // searching

  private _look(query: string, exact: boolean): void {
    this._search = query === '' ? null : new LogSearch(this._lines, query, exact);
    this._current = -1;
    this._wanted = this._search !== null;
    this._rows.forget();
    this._from = this._lines.first + Math.floor(this._scroll.top / ROW);
    this._searchOn();
    this._update();
  }

  /** Look for a while, and go on later. */
  private readonly _searchOn = (): void => {
    window.clearTimeout(this._searching);
    const search = this._search;
    const end = performance.now() + TURN;
    while (search?.advance() === true && performance.now() < end) {
      // on
    }
    if (search !== null && !search.done) {
      this._searching = window.setTimeout(this._searchOn);
    }
    this._goToFirst();
    this._showHits();
  };

  /** After something new was typed: the first line that has it, from where one is. */
  private _goToFirst(): void {
    const search = this._search;
    if (!this._wanted || search === null) {
      return;
    }
    const place = search.placeOf(this._from);
    if (place < search.count) {
      this._choose(place);
    } else if (search.done && search.count > 0) {
      this._choose(0);
    }
  }

  private _step(forward: boolean): void {
    const search = this._search;
    if (search === null || search.count === 0) {
      return;
    }
    const at = search.placeOf(this._current);
    const next = forward ? (this._current < 0 ? 0 : at + 1) : at - 1;
    this._choose((next + search.count) % search.count);
    this._showHits();
  }

  private _choose(place: number): void {
    this._wanted = false;
    this._current = this._search?.line(place) ?? -1;
    this._go(this._current);
  }

  private _showHits(): void {
    const search = this._search;
    if (search === null) {
      this._bar.showHits('', false);
      return;
    }
    const { count, done } = search;
    const all = `${NUMBERS.format(count)}${done ? '' : '…'}`;
    const place = this._current < 0 ? -1 : search.placeOf(this._current);
    if (count === 0) {
      this._bar.showHits(done ? trans.__('not found') : trans.__('searching…'), false);
    } else {
      const at = NUMBERS.format(place + 1);
      const said =
        place < 0
          ? trans._n('%2 line', '%2 lines', count, all)
          : trans._n('%2 of %3 line', '%2 of %3 lines', count, at, all);
      this._bar.showHits(said, true);
    }
  }

  private readonly _lines: LogLines;
  private readonly _feed: LogFeed;
  private readonly _bar: LogBar;
  private readonly _scroll = new Scroll();
  private readonly _why = h('p', 'gpuw-LogWhy');
  private readonly _scroller = h('div', 'gpuw-LogScroller');
  private readonly _content = h('div', 'gpuw-LogContent');
  private readonly _rows: LogRows;
  private readonly _sizes = new ResizeObserver(() => {
    this._update();
  });
  private _search: LogSearch | null = null;
  private _current = -1;
  private _from = 0;
  private _wanted = false;
  private _following = true;
  private _moving = false;
  private _width = 0;
  private _frame = 0;
  private _resting = 0;
  private _searching = 0;
  private _disposed = false;
}
