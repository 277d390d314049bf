/** Which GPUs there are: countable squares for each kind, and what waits, below the runs in the panel. */

import type { IDisposable } from '@lumino/disposable';

import type { IRuns, Known } from '../tokens';
import { trans } from '../translation';
import type { Capacity, CapacityState, GpuKind, Quota, Unseen, Waiting } from '../wire';
import { h } from './dom';
import { notKnown } from './format';

/** Up to so many GPUs of a kind are a square each; more are one bar in proportion. */
const SQUARES = 64;

/** Squares that a row has room for, at least and at most: a few stay small, many stay countable. */
const COLUMNS: readonly [number, number] = [16, 32];

type Use = 'mine' | 'others' | 'free' | 'unknown';

/** The capacity of each backend. It is asked for while it is shown and unfolded. */
export class CapacityView implements IDisposable {
  constructor(runs: Pick<IRuns, 'followCapacity'>) {
    this._runs = runs;
    this._fold.type = 'button';
    this._fold.className = 'gpuw-CapacityFold';
    this._fold.setAttribute('aria-expanded', 'true');
    this._fold.setAttribute('aria-controls', this._body.id);
    this._fold.append(h('span', 'gpuw-CapacityWord', trans.__('Capacity')), this._place);
    this._fold.addEventListener('click', () => {
      this._open = !this._open;
      this._follow();
    });
    this.node.setAttribute('aria-label', trans.__('Capacity'));
    this.node.append(h('h3', 'gpuw-CapacityTitle', this._fold), this._body);
    this._draw();
  }

  readonly node = h('section', 'gpuw-Capacity');

  /** Whether it is on the screen. */
  set shown(shown: boolean) {
    this._shown = shown;
    this._follow();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    this.shown = false;
  }

  private _follow(): void {
    const wanted = this._shown && this._open;
    if (wanted && this._following === null) {
      this._following = this._runs.followCapacity(known => {
        const again = !isCounted(known) && isCounted(this._known);
        this._known = again ? this._known : known; // the count before stays, dimmed, for the moment until the next
        this._body.setAttribute('aria-busy', String(again));
        this._draw();
      });
    } else if (!wanted) {
      this._following?.dispose();
      this._following = null;
    }
    this._fold.setAttribute('aria-expanded', String(this._open));
    this._body.hidden = !this._open;
  }

  private _draw(): void {
    const { _known: known } = this;
    const targets = known.kind === 'value' ? worthShowing([...known.value.values()]) : [];
    const [first] = targets;
    if (targets.length === 1 && first !== undefined) {
      this._place.textContent = ` · ${placeOf(first)}`;
      this._body.replaceChildren(...drawn(first));
      return;
    }
    this._place.textContent = '';
    const said =
      known.kind === 'error' ? known.message : targets.length === 0 ? trans.__('Looking…') : '';
    this._body.replaceChildren(
      ...(said === '' ? [] : [h('p', 'gpuw-CapacityNote', said)]),
      ...targets.flatMap(target => [
        h('h4', 'gpuw-CapacityPlace', placeOf(target)),
        ...drawn(target)
      ])
    );
  }

  private readonly _runs: Pick<IRuns, 'followCapacity'>;
  private readonly _fold = document.createElement('button');
  private readonly _place = h('span', '');
  private readonly _body = withId(h('div', 'gpuw-CapacityBody'));
  private _known: Known<ReadonlyMap<string, CapacityState>> = { kind: 'waiting' };
  private _following: IDisposable | null = null;
  private _shown = false;
  private _open = true;
  private _disposed = false;
}

let made = 0;

function withId(node: HTMLElement): HTMLElement {
  made += 1;
  node.id = `gpuw-capacity-${made}`;
  return node;
}

/** The server begins with nothing, and says more when it has counted. */
function isCounted(known: Known<ReadonlyMap<string, CapacityState>>): boolean {
  return known.kind === 'error' || (known.kind === 'value' && known.value.size > 0);
}

/** Beside a cluster a machine without GPUs is not worth a line. */
function worthShowing(targets: readonly CapacityState[]): readonly CapacityState[] {
  const found = targets.filter(
    target => target.name !== 'local' || (target.capacity?.kinds ?? []).length > 0
  );
  return found.length > 0 ? found : targets;
}

/** The namespace; without one what the backend is called. */
function placeOf(target: CapacityState): string {
  const namespace = target.capacity?.namespace ?? '';
  return namespace === '' ? target.name : namespace;
}

function drawn(target: CapacityState): readonly HTMLElement[] {
  const { capacity } = target;
  if (capacity == null) {
    return [h('p', 'gpuw-Note', target.error ?? '')];
  }
  const kinds = capacity.kinds ?? [];
  const uses = new Set(kinds.flatMap(kind => counts(kind).map(([use]) => use)));
  return [
    ...(kinds.length === 0 && (capacity.unseen ?? []).length === 0 ? [none(target.name)] : []),
    ...kinds.map(drawnKind),
    ...legend(uses, capacity.starting ?? 0),
    ...notes(capacity).map(([text, title]) => {
      const node = h('p', 'gpuw-CapacityNote', text);
      node.title = title;
      return node;
    })
  ];
}

function none(backend: string): HTMLElement {
  const where =
    backend === 'local'
      ? trans.__('No GPU is visible on this machine')
      : trans.__('No GPU in this cluster');
  return h('p', 'gpuw-CapacityNote', where);
}

function drawnKind(kind: GpuKind): HTMLElement {
  const node = h(
    'div',
    'gpuw-Kind',
    h(
      'div',
      'gpuw-KindHead',
      h('span', 'gpuw-KindName', kind.name),
      h('span', 'gpuw-KindFree', free(kind))
    ),
    h(
      'div',
      'gpuw-KindBody',
      (kind.total ?? 0) > 0 ? squares(kind) : null,
      kind.simulated === true ? h('span', 'gpuw-Tag', trans.__('SIMULATED')) : null
    ),
    closed(kind)
  );
  node.title = `${kind.name} (${kind.resource}): ${inWords(kind)}`;
  return node;
}

/** `4 of 32 free`; what is known of it. */
function free(kind: GpuKind): string {
  const { total, mine } = kind;
  if (total == null) {
    return trans.__('%1 mine, %2 others', figure(mine), figure(kind.others));
  }
  return total === 0
    ? trans.__('none takes pods now')
    : trans.__('%1 of %2 free', figure(kind.free), total);
}

function closed(kind: GpuKind): HTMLElement | null {
  const count = kind.closed ?? 0;
  return count === 0
    ? null
    : h('div', 'gpuw-CapacityNote', trans.__('%1 more on nodes that take no pods now', count));
}

/** How many are used how; nothing of what there is none of. */
export function counts(kind: GpuKind): readonly (readonly [Use, number])[] {
  const total = kind.total ?? 0;
  const mine = kind.mine ?? 0;
  const known: readonly (readonly [Use, number])[] =
    kind.others == null || kind.free == null
      ? [
          ['mine', mine],
          ['unknown', total - mine]
        ]
      : [
          ['mine', mine],
          ['others', kind.others],
          ['free', kind.free]
        ];
  return total === 0 ? [] : known.filter(([, count]) => count > 0);
}

function squares(kind: GpuKind): HTMLElement {
  const total = kind.total ?? 0;
  const node = h('div', total > SQUARES ? 'gpuw-Squares gpuw-Proportion' : 'gpuw-Squares');
  node.setAttribute('role', 'img');
  node.setAttribute('aria-label', `${kind.name}: ${inWords(kind)}`);
  if (total > SQUARES) {
    node.append(
      ...counts(kind).map(([use, count]) => {
        const part = square(use);
        part.style.flexGrow = String(count);
        return part;
      })
    );
    return node;
  }
  node.style.setProperty(
    '--gpuw-columns',
    String(Math.min(Math.max(total, COLUMNS[0]), COLUMNS[1]))
  );
  node.append(
    ...counts(kind).flatMap(([use, count]) => Array.from({ length: count }, () => square(use)))
  );
  return node;
}

function square(use: Use): HTMLElement {
  const node = h('span', 'gpuw-Square');
  node.dataset.use = use;
  return node;
}

/** What the squares show. */
function inWords(kind: GpuKind): string {
  const { mine, others, free: left, total } = kind;
  return trans.__(
    '%1 mine, %2 others, %3 free of %4',
    figure(mine),
    figure(others),
    figure(left),
    figure(total)
  );
}

/** What the squares mean, and what is to come. */
function legend(uses: ReadonlySet<Use>, starting: number): readonly HTMLElement[] {
  const meanings: readonly (readonly [Use, string])[] = [
    ['mine', trans.__('mine')],
    ['others', trans.__('others')],
    ['free', trans.__('free')],
    ['unknown', notKnown()]
  ];
  const keys = meanings
    .filter(([use]) => uses.has(use))
    .map(([use, meaning]) => h('span', 'gpuw-Key', square(use), meaning));
  const coming = starting === 0 ? '' : trans._n('%1 node starting', '%1 nodes starting', starting);
  return keys.length === 0 && coming === ''
    ? []
    : [h('div', 'gpuw-Legend', ...keys, h('span', 'gpuw-Coming', coming))];
}

/** Sentences below the kinds, each with what else there is to know of it. */
function notes(capacity: Capacity): readonly (readonly [string, string])[] {
  return [
    ...(capacity.waiting ?? []).map(waiting => [queued(waiting), ''] as const),
    ...(capacity.places ?? []).map(place => [trans.__('Yours: %1', place), ''] as const),
    ...(capacity.quotas ?? []).map(quota => [used(quota), ''] as const),
    ...(capacity.unseen ?? []).map(
      unseen =>
        [missing(unseen), trans.__('%1 prints the Role to ask for', '%gpu doctor --role')] as const
    )
  ];
}

function queued({ name, mine, others }: Waiting): string {
  const own = mine ?? 0;
  const all = own + (others ?? 0);
  const what = name === 'GPUs' && all === 1 ? 'GPU' : name;
  if (others == null) {
    return trans.__('%1 %2 queued by you; by others n/a', own, what);
  }
  return own > 0
    ? trans.__('%1 %2 queued, %3 of them by you', all, what, own)
    : trans.__('%1 %2 queued', others, what);
}

function used(quota: Quota): string {
  return trans.__(
    'Quota %1: %2 of %3 %4 used',
    quota.name,
    figure(quota.used),
    quota.hard,
    quota.resource
  );
}

function missing({ verb, resource, namespace }: Unseen): string {
  const why =
    resource === 'nodes'
      ? trans.__('you may not %1 %2', verb, resource)
      : namespace == null || namespace === ''
        ? trans.__('you may not %1 %2 in all namespaces', verb, resource)
        : trans.__('you may not %1 %2 in namespace %3', verb, resource, namespace);
  return `${unseenOf(resource)}: ${why}`;
}

function unseenOf(resource: string): string {
  switch (resource) {
    case 'nodes':
      return trans.__('Which GPUs there are is not visible to you');
    case 'pods':
      return trans.__('What others hold is not visible to you');
    case 'resourcequotas':
      return trans.__('The quota is not visible to you');
    default:
      return trans.__('Something is not visible to you');
  }
}

function figure(count: number | null | undefined): string {
  return count == null ? notKnown() : String(count);
}
