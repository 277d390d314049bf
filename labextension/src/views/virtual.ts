/** A long list of which only what can be seen is in the page. */

/** One item as it is drawn. */
export interface Drawn<T> {
  readonly node: HTMLElement;
  show(item: T): void;
  /** Whether Tab comes to it: it does to one of all. */
  reach(current: boolean): void;
  focus(): void;
}

/** What the list has to know of its items. */
export interface Items<T> {
  key(item: T): string;
  /** Pixels. */
  height(item: T): number;
  /** Whether arrow keys come to it. */
  focusable(item: T): boolean;
  make(item: T): Drawn<T>;
  /** Is told what is drawn now, whenever that may be something else. */
  drawn?(keys: Iterable<string>): void;
}

/** Drawn above and below what can be seen, in pixels. */
const MARGIN = 300;
/** The height that is assumed before the list has one. */
const FIRST = 900;

/** The list. Arrow keys, Home and End go through it; Tab goes to one item and on. */
export class VirtualList<T> {
  constructor(items: Items<T>) {
    this._of = items;
    this.node.append(this._inner);
    this.node.addEventListener('scroll', this._onScroll, { passive: true });
    this.node.addEventListener('keydown', this._onKey);
    this.node.addEventListener('focusin', this._onFocus);
  }

  readonly node = div('gpuw-List');

  /** Show these items, in order. What is drawn already and stays keeps its focus. */
  show(items: readonly T[]): void {
    this._items = items;
    this._places = new Map(items.map((item, place) => [this._of.key(item), place]));
    let top = 0;
    this._tops = items.map(item => {
      const at = top;
      top += this._of.height(item);
      return at;
    });
    this._inner.style.height = `${top}px`;
    if (this._places.get(this._current) === undefined) {
      const first = items.find(item => this._of.focusable(item));
      this._current = first === undefined ? '' : this._of.key(first);
    }
    this.draw();
  }

  /** Draw what can be seen now. */
  draw(): void {
    const seen = this._seen();
    for (const [key, drawn] of this._drawn) {
      if (!seen.has(key)) {
        drawn.node.remove();
        this._drawn.delete(key);
      }
    }
    const nodes: HTMLElement[] = [];
    for (const [key, place] of seen) {
      const item = this._items[place] as T;
      let drawn = this._drawn.get(key);
      if (drawn === undefined) {
        drawn = this._of.make(item);
        this._drawn.set(key, drawn);
      }
      drawn.show(item);
      drawn.reach(key === this._current);
      drawn.node.style.transform = `translateY(${this._tops[place] ?? 0}px)`;
      nodes.push(drawn.node);
    }
    order(this._inner, nodes);
    this._of.drawn?.(seen.keys());
  }

  /** Keys of what is to be drawn with their places: what can be seen, and what has the focus. */
  private _seen(): Map<string, number> {
    const top = this.node.scrollTop - MARGIN;
    const bottom = this.node.scrollTop + (this.node.clientHeight || FIRST) + MARGIN;
    const found = new Map<string, number>();
    const focused = [...this._drawn].find(([, one]) => one.node.contains(document.activeElement));
    this._items.forEach((item, place) => {
      const at = this._tops[place] ?? 0;
      const key = this._of.key(item);
      if ((at + this._of.height(item) > top && at < bottom) || key === focused?.[0]) {
        found.set(key, place);
      }
    });
    return found;
  }

  private _go(from: number, step: 1 | -1): void {
    for (let place = from; place >= 0 && place < this._items.length; place += step) {
      const item = this._items[place] as T;
      if (this._of.focusable(item)) {
        this._current = this._of.key(item);
        this._reveal(place);
        this.draw();
        this._drawn.get(this._current)?.focus();
        return;
      }
    }
  }

  private _reveal(place: number): void {
    const [top, item] = [this._tops[place] ?? 0, this._items[place] as T];
    const height = this.node.clientHeight || FIRST;
    const lowest = top + this._of.height(item) - height;
    this.node.scrollTop = Math.min(top, Math.max(this.node.scrollTop, lowest));
  }

  private readonly _onScroll = (): void => {
    this.draw();
  };

  private readonly _onKey = (event: KeyboardEvent): void => {
    const place = this._places.get(this._current) ?? 0;
    const last = this._items.length - 1;
    const moves: Readonly<Record<string, readonly [number, 1 | -1]>> = {
      ArrowDown: [place + 1, 1],
      ArrowUp: [place - 1, -1],
      Home: [0, 1],
      End: [last, -1]
    };
    const move = moves[event.key];
    if (move !== undefined && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
      this._go(...move);
    }
  };

  private readonly _onFocus = (event: FocusEvent): void => {
    const focused = [...this._drawn].find(([, { node }]) => node.contains(event.target as Node));
    if (focused !== undefined && focused[0] !== this._current) {
      this._drawn.get(this._current)?.reach(false);
      this._current = focused[0];
      focused[1].reach(true);
    }
  };

  private readonly _of: Items<T>;
  private readonly _inner = div('gpuw-ListInner');
  private readonly _drawn = new Map<string, Drawn<T>>();
  private _items: readonly T[] = [];
  private _tops: readonly number[] = [];
  private _places: ReadonlyMap<string, number> = new Map();
  private _current = '';
}

/** Bring nodes into order, moving none that has the focus: it would lose it. */
function order(parent: HTMLElement, nodes: readonly HTMLElement[]): void {
  let next: Element | null = parent.firstElementChild;
  for (const node of nodes) {
    if (node.parentNode === parent && node.contains(document.activeElement)) {
      while (next !== null && next !== node) {
        const after: Element | null = next.nextElementSibling;
        parent.append(next);
        next = after;
      }
    }
    if (node === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(node, next);
    }
  }
}

function div(className: string): HTMLElement {
  const node = document.createElement('div');
  node.className = className;
  return node;
}
