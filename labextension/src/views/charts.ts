/** What a run's GPUs do now, under its progress: one GPU wide, up to sixteen as tiles, more as bands with those apart. */

import { trans } from '../translation';
import type { Shown } from '../wire';
import { ended } from '../models/phases';
import { h, hide } from './dom';
import { paletteOf } from './palette';
import type { Palette } from './palette';
import { Tiles } from './tiles';
import type { Look } from './tiles';
import { WidePair } from './wide';
import { naming } from './words';

/** The charts of one run. */
export class Charts {
  constructor() {
    this.node.append(this._pair.node, this._apart, this._tiles.node);
  }

  readonly node = h('div', 'gpuw-Charts');

  /** Show what is known now; nothing where no GPU is known. */
  show(shown: Shown): void {
    const chart = shown.chart ?? null;
    const gpus = chart?.gpus ?? [];
    const bands = chart?.utilisation != null && chart.memory != null;
    hide(this.node, gpus.length === 0 && !bands);
    if (chart === null) {
      return;
    }
    const look: Look = {
      palette: () => (this._palette ??= paletteOf(this.node)),
      naming: naming(shown),
      simulated: shown.simulated === true,
      live: !ended(shown.phase ?? 'Queued')
    };
    const [only] = gpus;
    const one = !bands && chart.count === 1 && only !== undefined;
    hide(this._pair.node, !bands && !one);
    if (one) {
      this._pair.showOne(chart, only, look);
    } else if (bands) {
      this._pair.showSpread(chart, look);
    }
    hide(this._apart, !bands || gpus.length === 0);
    this._tiles.show(one ? [] : gpus, look, bands);
  }

  /** The theme has changed: colours are read anew when it is drawn next. */
  restyled(): void {
    this._palette = null;
  }

  private readonly _pair = new WidePair();
  private readonly _apart = h('div', 'gpuw-Quiet gpuw-Apart', trans.__('apart from the rest'));
  private readonly _tiles = new Tiles();
  private _palette: Palette | null = null;
}
