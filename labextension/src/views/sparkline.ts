/** One figure over time, drawn by hand: an area from 0 to 100 per cent, a gap where nothing is known. */

const WIDTH = 96;
const HEIGHT = 22;

/** A small canvas that is drawn anew when its figures change. */
export class Sparkline {
  constructor() {
    this.node.className = 'gpuw-Sparkline';
    this.node.setAttribute('role', 'img');
  }

  readonly node = document.createElement('canvas');

  /**
   * @param points Per cent, oldest first; `null` for what is not known.
   * @param label What it shows, for those who do not see it.
   */
  draw(points: readonly (number | null)[], label: string): void {
    this.node.setAttribute('aria-label', label);
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [WIDTH * ratio, HEIGHT * ratio];
    if (this.node.width !== width || this.node.height !== height) {
      this.node.width = width;
      this.node.height = height;
      this.node.style.width = `${WIDTH}px`;
      this.node.style.height = `${HEIGHT}px`;
    }
    const context = this.node.getContext('2d');
    if (context === null) {
      return;
    }
    context.clearRect(0, 0, width, height);
    const colour = getComputedStyle(this.node).color;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = 1.5 * ratio;
    for (const run of runs(points)) {
      const place = ([index, value]: readonly [number, number]): [number, number] => [
        (index / Math.max(1, points.length - 1)) * width,
        height - 1 - (Math.min(100, Math.max(0, value)) / 100) * (height - 2)
      ];
      context.beginPath();
      run.forEach((point, number) => {
        const [x, y] = place(point);
        if (number === 0) {
          context.moveTo(x, y);
        } else {
          context.lineTo(x, y);
        }
      });
      context.stroke();
      const [first] = place(run[0] ?? [0, 0]);
      const [last] = place(run[run.length - 1] ?? [0, 0]);
      context.lineTo(last, height);
      context.lineTo(first, height);
      context.globalAlpha = 0.16;
      context.fill();
      context.globalAlpha = 1;
    }
  }
}

/** The stretches in which something is known, each as index and value. */
export function runs(points: readonly (number | null)[]): (readonly [number, number])[][] {
  const found: (readonly [number, number])[][] = [];
  let current: (readonly [number, number])[] = [];
  points.forEach((value, index) => {
    if (value === null) {
      current = [];
      return;
    }
    if (current.length === 0) {
      found.push(current);
    }
    current.push([index, value]);
  });
  return found;
}
