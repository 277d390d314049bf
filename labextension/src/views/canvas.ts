/** A canvas as large as its place in the page, in the pixels of the screen. */

/** Where there is room to draw: width, height, and how many pixels are one of CSS. */
export interface Box {
  readonly width: number;
  readonly height: number;
  readonly unit: number;
}

export type Paint = (context: CanvasRenderingContext2D, box: Box) => void;

/** Draws what it is told, and again when its place has another size. */
export class Canvas {
  constructor(className: string) {
    this.node.className = className;
    this.node.setAttribute('aria-hidden', 'true'); // what it shows is said beside it
    sized.set(this.node, place => {
      this._place = place;
      this._do();
    });
    observer ??= begun();
    observer.observe(this.node);
  }

  readonly node = document.createElement('canvas');

  /** Draw this from now on. */
  draw(paint: Paint): void {
    this._paint = paint;
    this._do();
  }

  private _do(): void {
    const context = this._place === null ? null : this.node.getContext('2d');
    if (context === null || this._place === null) {
      return;
    }
    const unit = window.devicePixelRatio; // another one on another screen, and when the page is zoomed
    const [width, height] = this._place.map(size => Math.round(size * unit)) as [number, number];
    if (this.node.width !== width || this.node.height !== height) {
      this.node.width = width;
      this.node.height = height;
    }
    context.clearRect(0, 0, width, height);
    this._paint?.(context, { width, height, unit });
  }

  private _place: Place | null = null;
  private _paint: Paint | null = null;
}

/** Width and height, as the page lays it out. */
type Place = readonly [number, number];

const sized = new WeakMap<Element, (place: Place) => void>();
let observer: ResizeObserver | undefined;

function begun(): ResizeObserver {
  return new ResizeObserver(entries => {
    for (const { target, contentRect } of entries) {
      if (contentRect.width > 0 && contentRect.height > 0) {
        sized.get(target)?.([contentRect.width, contentRect.height]);
      }
    }
  });
}
