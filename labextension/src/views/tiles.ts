/** The GPUs of a run, one tile each: its number, how busy it is now and was, and how full its memory is. */

import { trans } from '../translation';
import type { GpuSeries } from '../wire';
import { Canvas } from './canvas';
import { h, hide, say, words } from './dom';
import { percent } from './format';
import type { Palette } from './palette';
import { curve, watermark } from './sparkline';
import { gpuName, gpuTitle } from './words';
import type { Naming } from './words';

/** How tiles are drawn, besides their figures. */
export interface Look {
  /** Read while it is drawn: before it is on the page it has no colours. */
  readonly palette: () => Palette;
  readonly naming: Naming;
  readonly simulated: boolean;

  /** Whether the figures are of now. */
  readonly live: boolean;
}

/** Tiles in a row at most. */
const ROW = 8;

/** A grid of tiles, refreshed in place. */
export class Tiles {
  readonly node = h('ul', 'gpuw-Tiles');

  constructor() {
    this.node.setAttribute('aria-label', trans.__('GPUs'));
  }

  /** @param apart Whether they are those that stand apart from many others. */
  show(gpus: readonly GpuSeries[], look: Look, apart = false): void {
    words(this.node, 'style', `--gpuw-columns: ${apart ? ROW : Math.min(gpus.length, ROW)}`);
    hide(this.node, gpus.length === 0);
    const wanted = new Set(gpus.map(key));
    for (const [name, tile] of this._tiles) {
      if (!wanted.has(name)) {
        tile.node.remove();
        this._tiles.delete(name);
      }
    }
    gpus.forEach((gpu, place) => {
      let tile = this._tiles.get(key(gpu));
      if (tile === undefined) {
        tile = new Tile();
        this._tiles.set(key(gpu), tile);
      }
      tile.show(gpu, look, apart);
      if (this.node.children[place] !== tile.node) {
        this.node.insertBefore(tile.node, this.node.children[place] ?? null);
      }
    });
  }

  private readonly _tiles = new Map<string, Tile>();
}

class Tile {
  constructor() {
    this._inside.setAttribute('role', 'img'); // one thing with one name, not four
    this._inside.append(
      h('div', 'gpuw-TileHead', this._name, this._busy),
      this._line.node,
      this._room
    );
    this.node.append(this._inside);
  }

  readonly node = h('li', 'gpuw-Tile');

  show(gpu: GpuSeries, look: Look, apart: boolean): void {
    const slowed = gpu.slowed != null && gpu.slowed !== '';
    const title = gpuTitle(gpu, look.naming);
    words(this.node, 'data-state', slowed ? 'wait' : 'run');
    words(this._inside, 'title', title);
    words(this._inside, 'aria-label', title);
    say(this._name, (slowed ? '▲ ' : '') + gpuName(gpu, look.naming));
    say(this._busy, look.live || gpu.busy == null ? percent(gpu.busy) : '');
    const full = share(gpu);
    words(this._memory, 'style', `transform: scaleX(${((full ?? 0) / 100).toFixed(3)})`);
    words(this._room, 'class', full === null ? 'gpuw-Memory gpuw-mod-unknown' : 'gpuw-Memory');
    this._line.draw((context, box) => {
      const palette = look.palette();
      curve(context, box, gpu.utilisation ?? [], slowed || apart ? palette.wait : palette.run);
      if (look.simulated) {
        watermark(context, box, palette);
      }
    });
  }

  private readonly _inside = h('div', '');
  private readonly _name = h('strong', '');
  private readonly _busy = h('span', 'gpuw-Quiet');
  private readonly _line = new Canvas('gpuw-Sparkline');
  private readonly _memory = h('span', '');
  private readonly _room = h('div', 'gpuw-Memory', this._memory);
}

function share(gpu: GpuSeries): number | null {
  return gpu.memory_used == null || gpu.memory_total == null || gpu.memory_total <= 0
    ? null
    : Math.min(100, Math.max(0, (100 * gpu.memory_used) / gpu.memory_total));
}

function key(gpu: GpuSeries): string {
  return `${gpu.rank}/${gpu.gpu}`;
}
