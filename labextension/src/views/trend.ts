/** One figure over time in a row of the panel: small, on an axis from 0 to 100 per cent, a gap where nothing is known. */

const WIDTH = 72;
const HEIGHT = 18;
const SVG = 'http://www.w3.org/2000/svg';

/** A drawing in the colour of the text around it. */
export class Trend {
  constructor() {
    this.node.setAttribute('class', 'gpuw-Trend');
    this.node.setAttribute('role', 'img');
    this.node.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this._area.setAttribute('class', 'gpuw-TrendArea');
    this.node.append(this._area, this._line);
  }

  readonly node = document.createElementNS(SVG, 'svg');

  /**
   * @param points Per cent, oldest first; `null` for what is not known.
   * @param label What it shows, for those who do not see it.
   */
  draw(points: readonly (number | null)[], label: string): void {
    this.node.setAttribute('aria-label', label);
    const { line, area } = pathsOf(points);
    this._line.setAttribute('d', line);
    this._area.setAttribute('d', area);
  }

  private readonly _area = document.createElementNS(SVG, 'path');
  private readonly _line = document.createElementNS(SVG, 'path');
}

/** The line and the area below it, as SVG writes them: a piece for each stretch in which something is known. */
export function pathsOf(points: readonly (number | null)[]): { line: string; area: string } {
  const step = WIDTH / Math.max(1, points.length - 1);
  let [line, area, begun] = ['', '', -1];
  points.forEach((value, index) => {
    if (value === null) {
      begun = -1;
      return;
    }
    const x = round(index * step);
    const y = round(HEIGHT - 1 - (Math.min(100, Math.max(0, value)) / 100) * (HEIGHT - 2));
    line += `${begun < 0 ? 'M' : 'L'}${x} ${y}`;
    area += begun < 0 ? `M${x} ${HEIGHT}L${x} ${y}` : `L${x} ${y}`;
    begun = begun < 0 ? index : begun;
    if (points[index + 1] == null) {
      area += `L${x} ${HEIGHT}Z`;
    }
  });
  return { line, area };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
