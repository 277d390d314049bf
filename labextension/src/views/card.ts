/** A run's view: one line answers the first question, and what belongs to it stands below. */

import { KEEP } from '../models/keep';
import { ended } from '../models/phases';
import { report } from '../models/report';
import { trans } from '../translation';
import type { Shown, Snapshot } from '../wire';
import { Answer } from './answer';
import { Charts } from './charts';
import { Details } from './details';
import { DaskView } from './dask';
import { coded, button, copy, h, hide, link, refill, say, words } from './dom';
import { mark, stateOf } from './phases';
import { unwatch, watch } from './screen';
import { bill, cameBack, failedFirst, figures, place, shortBill } from './words';
import type { Figure } from './words';

/** What a card can do; a card without it only shows. */
export interface Actions {
  /** What "Stop" does here. */
  readonly stopTitle: string;
  stop(): Promise<void>;
  keep(seconds: number): Promise<void>;

  /** Let a cell that waits run without its notebook; absent where there is none, or none that waits. */
  detach?(): void;

  /** Address of its dashboard; absent where it has none. */
  readonly dashboard?: string;

  /** Open its log, or that of one of its ranks; absent where there is nowhere to open it. */
  logs?(rank?: number): void;
}

const COPIED = 2000;

/** What a button does; `copied` is `copy` just after. */
type Doing = 'dashboard' | 'logs' | 'copy' | 'copied' | 'keep' | 'detach' | 'stop';

/** What was to be shown last. */
interface Asked {
  readonly found: Snapshot;
  readonly actions: Actions | null;
  readonly note: string;
}

/**
 * The card of one run, refreshed in place, so that what has the focus keeps it.
 *
 * Only what is on the screen is drawn: out of sight it notes what is to be shown, and shows it when it is seen again.
 */
export class Card {
  /** @param versions What it is seen with, for a report: `JupyterLab 4.6.0`. */
  constructor(versions: readonly string[] = []) {
    this._versions = versions;
    this._status.setAttribute('aria-live', 'polite');
    const line = h('div', 'gpuw-HeadLine', this._title, this._bill);
    this._head.append(line, this._buttons, this._details.more);
    this._body.append(
      this._answer.node,
      this._figures,
      this._lines,
      this._charts.node,
      this._dask.node
    );
    this._foot.append(this._details.buttons, this._spent);
    this.node.append(this._head, this._body, this._foot, this._details.panels, this._status);
    this._details.changed = () => {
      this._draw();
    };
    watch(this.node, {
      seen: is => {
        this._seen = is;
        if (is && this._late) {
          this._draw();
        }
      },
      restyled: () => {
        this._charts.restyled();
        this._dask.restyled();
        this._details.restyled();
        this._draw();
      }
    });
  }

  readonly node = h('section', 'gpuw-Card');

  /**
   * Show what is known now.
   *
   * @param note What is to be said besides, e.g. that the server does not answer.
   */
  show(found: Snapshot, actions: Actions | null, note = ''): void {
    const before = this._asked?.found.snapshot.phase;
    this._asked = { found, actions, note };
    this._late = !this._seen && found.snapshot.phase === before;
    if (!this._late) {
      this._draw();
    }
  }

  /** Let go of what it holds. */
  dispose(): void {
    unwatch(this.node);
    this._details.dispose();
  }

  private _draw(): void {
    if (this._asked === null) {
      return;
    }
    this._late = false;
    const { found, actions, note } = this._asked;
    const shown = found.snapshot;
    const phase = shown.phase ?? 'Queued';
    const done = phase === 'Succeeded' || phase === 'Stopped';
    words(this.node, 'data-state', stateOf(phase));
    words(this.node, 'aria-label', trans.__('Run %1', nameOf(found)));
    this._drawTitle(found, done);
    this._act(found, actions);
    this._answer.show(done ? null : shown);
    this._drawFigures(shown);
    this._drawLines(shown, note);
    this._drawCharts(shown);
    this._details.show(found, done, actions?.logs === undefined ? null : this._openLog);
    hide(
      this._body,
      [...this._body.children].every(child => (child as HTMLElement).hidden)
    );
    this._drawFoot(shown, done);
    if (this._told !== (shown.word ?? phase)) {
      this._told = shown.word ?? phase; // only a new phase is read out
      say(this._status, this._told);
    }
  }

  private _drawTitle(found: Snapshot, done: boolean): void {
    const shown = found.snapshot;
    const phase = shown.phase ?? 'Queued';
    const stopped = phase === 'Stopped' ? (shown.answer ?? '') : '';
    const parts = [shown.name, ...place(shown, found.where), failedFirst(shown), stopped];
    const said = parts.filter(Boolean).join(' · ');
    const [names, came] = done ? cameBack(shown) : ['', ''];
    const simulated = shown.simulated === true;
    refill(this._title, JSON.stringify([phase, shown.word, said, names, came, simulated]), () => [
      mark(phase),
      h('strong', '', shown.word ?? phase),
      h('span', 'gpuw-Quiet', said),
      simulated ? tag() : '',
      names === '' ? '' : h('span', 'gpuw-Back', h('strong', '', names), came)
    ]);
  }

  private _act(found: Snapshot, actions: Actions | null): void {
    const shown = found.snapshot;
    const phase = shown.phase ?? 'Queued';
    const wanted: Doing[] = [];
    const failed = phase === 'Failed' || phase === 'Lost';
    if (actions?.dashboard !== undefined && shown.dask?.dashboard === true && !ended(phase)) {
      wanted.push('dashboard');
    }
    if (actions?.logs !== undefined) {
      wanted.push('logs');
    }
    if (failed) {
      wanted.push(this._copied ? 'copied' : 'copy');
    }
    if (actions?.detach !== undefined) {
      wanted.push('detach');
    }
    if (actions !== null && !ended(phase) && phase !== 'Stopping') {
      wanted.push(...(canBeKept(shown) ? (['keep'] as const) : []), 'stop');
    }
    this._actions = actions;
    refill(this._buttons, wanted.join('\n'), () => wanted.map(doing => this._button(doing)));
  }

  private _button(doing: Doing): HTMLElement {
    switch (doing) {
      case 'dashboard':
        return link(
          trans.__('Dashboard'),
          trans.__('Dask’s own dashboard, in a tab of the browser'),
          this._actions?.dashboard ?? ''
        );
      case 'stop':
        return button(
          trans.__('Stop'),
          this._actions?.stopTitle ?? '',
          () => void this._do(this._actions?.stop())
        );
      case 'keep':
        return button(
          trans.__('Keep 2 h'),
          trans.__('Put off the end of the idle session'),
          () => void this._do(this._actions?.keep(KEEP))
        );
      case 'detach':
        return button(
          trans.__('Detach'),
          trans.__(
            'Let it run without this notebook: the cell is given %1 and run again',
            '--detach'
          ),
          () => this._actions?.detach?.()
        );
      case 'copied':
      case 'copy':
        return button(
          doing === 'copied' ? trans.__('Copied') : trans.__('Copy report'),
          trans.__('Copy what failed, where and when, as text to be sent to somebody'),
          () => void this._do(this._copy())
        );
      case 'logs':
        return button(trans.__('Logs'), trans.__('All that it has written'), () =>
          this._actions?.logs?.()
        );
    }
  }

  private async _copy(): Promise<void> {
    if (this._asked !== null) {
      await copy(report(this._asked.found, this._versions, new Date()));
      say(this._status, trans.__('Copied'));
      this._copied = true;
      window.setTimeout(() => {
        this._copied = false;
        this._draw();
      }, COPIED);
    }
  }

  private async _do(asked: Promise<void> | undefined): Promise<void> {
    this._refused = '';
    try {
      await asked;
    } catch (error) {
      this._refused = error instanceof Error ? error.message : String(error);
    }
    this._draw();
  }

  private _drawFigures(shown: Shown): void {
    const found = shown.phase === 'Running' ? figures(shown) : [];
    hide(this._figures, found.length === 0);
    fill(this._figures, found);
  }

  private _drawLines(shown: Shown, note: string): void {
    const notes = (shown.notes ?? []).map(text => `▲ ${text}`);
    const hint = shown.hint ?? '';
    const lines = [...notes, note, this._refused].filter(Boolean);
    hide(this._lines, hint === '' && lines.length === 0);
    refill(this._lines, [hint, ...lines].join('\n'), () => [
      hint === '' ? '' : h('div', 'gpuw-Quiet', ...coded(hint)),
      ...lines.map(text =>
        h('div', text.startsWith('▲') ? 'gpuw-Note' : 'gpuw-Quiet', ...coded(text))
      )
    ]);
  }

  private _drawCharts(shown: Shown): void {
    const drawn = shown.phase === 'Running' || shown.phase === 'Stopping';
    this._charts.show(drawn ? shown : { ...shown, chart: null });
    this._dask.show(shown);
  }

  private _drawFoot(shown: Shown, done: boolean): void {
    const found = bill(shown);
    fill(this._bill, done ? shortBill(shown) : []);
    fill(this._spent, done ? [] : found);
    hide(this._foot, this._details.buttons.hidden && (done || found.length === 0));
  }

  private readonly _versions: readonly string[];
  private readonly _title = h('div', 'gpuw-Title');
  private readonly _bill = h('div', 'gpuw-Bill');
  private readonly _buttons = h('div', 'gpuw-Buttons');
  private readonly _head = h('header', 'gpuw-Head');
  private readonly _answer = new Answer();
  private readonly _figures = h('div', 'gpuw-Figures');
  private readonly _lines = h('div', '');
  private readonly _charts = new Charts();
  private readonly _dask = new DaskView();
  private readonly _body = h('div', 'gpuw-Body');
  private readonly _openLog = (rank: number): void => {
    this._asked?.actions?.logs?.(rank);
  };

  private readonly _details = new Details();
  private readonly _spent = h('div', 'gpuw-Bill');
  private readonly _foot = h('footer', 'gpuw-Foot');
  private readonly _status = h('div', 'gpuw-Unseen');
  private _asked: Asked | null = null;
  private _actions: Actions | null = null;
  private _refused = '';
  private _seen = true;
  private _late = false;
  private _told = '';
  private _copied = false;
}

/** Whether its end can be put off: it idles, and ends by itself. */
function canBeKept({ kind, word, ending }: Shown): boolean {
  return word === 'Idle' && ((kind ?? 'session') === 'session' || ending != null);
}

/** What people call it. */
function nameOf(found: Snapshot): string {
  const { name } = found.snapshot;
  return name == null || name === '' ? found.id : name;
}

function tag(): HTMLElement {
  const node = h('span', 'gpuw-Tag', trans.__('SIMULATED'));
  node.title = trans.__('The devices are doubles: their figures are made up for a test');
  return node;
}

/** Words and figures side by side, the figures set off. */
function fill(node: HTMLElement, found: readonly Figure[]): void {
  refill(node, JSON.stringify(found), () =>
    found.map(({ word, figure, key }) => {
      const [number, unit] = split(figure);
      const part = key === undefined ? '' : h('span', `gpuw-Key gpuw-mod-${key}`);
      return h('span', '', part, word === '' ? '' : `${word} `, h('strong', '', number), unit);
    })
  );
}

/** A figure's number and its unit: a per cent sign belongs to the number. */
function split(figure: string): readonly [string, string] {
  const at = figure.indexOf(' ');
  return at < 0 || figure.endsWith('%') ? [figure, ''] : [figure.slice(0, at), figure.slice(at)];
}
