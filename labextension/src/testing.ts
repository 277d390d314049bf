/** What jsdom lacks, and doubles for the specs. */

import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { Versions } from './models/versions';
import type { Connection, IRuns, Listener, Written } from './tokens';
import type {
  CapacityState,
  Row,
  Snapshot,
  Started,
  StartOptions,
  StartPlan,
  TargetState
} from './wire';

HTMLCanvasElement.prototype.getContext = () => null;

/** Watches nothing. */
class Observer {
  observe(): void {
    return;
  }

  unobserve(): void {
    return;
  }

  disconnect(): void {
    return;
  }
}

type Told = (entries: readonly { target: Element; isIntersecting: boolean }[]) => void;

/** All of them, however often this module is loaded. */
const looking = ((globalThis as Record<string, unknown>).looking ??= new Map()) as Map<
  Observer,
  { told: Told; nodes: Set<Element> }
>;

/** Tells what `see` says is on the screen. */
class Looking extends Observer {
  constructor(told: Told) {
    super();
    looking.set(this, { told, nodes: new Set() });
  }

  override observe(node?: Element): void {
    if (node !== undefined) {
      looking.get(this)?.nodes.add(node);
    }
  }
}

/** Say that an element has come onto the screen, or has left it. */
export function see(target: Element, isIntersecting: boolean): void {
  for (const { told, nodes } of looking.values()) {
    if (nodes.has(target)) {
      told([{ target, isIntersecting }]);
    }
  }
}

const lacking = {
  DragEvent: class extends MouseEvent {},
  ResizeObserver: Observer,
  IntersectionObserver: Looking,
  matchMedia: (media: string) => ({
    media,
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    addListener: () => undefined,
    removeListener: () => undefined
  })
};

for (const [name, value] of Object.entries(lacking)) {
  if ((window as unknown as Record<string, unknown>)[name] === undefined) {
    Object.assign(window, { [name]: value });
    Object.assign(globalThis, { [name]: value });
  }
}

/** A row as the server sends it. */
export function row(id: string, members: Partial<Row> = {}): Row {
  return { id, backend: 'local', started: 0, phase: 'Running', word: 'Busy', name: id, ...members };
}

/** Live facts that the test writes, and what was asked of them. */
export class TestRuns implements IRuns {
  connection: Connection = { state: 'open' };
  readonly connectionChanged: Signal<IRuns, Connection> = new Signal<IRuns, Connection>(this);
  mayAct = true;
  mayStart = true;
  readonly versions = new Versions();
  readonly asked: string[] = [];
  readonly views = new Map<string, Listener<Snapshot>>();
  rows: Listener<ReadonlyMap<string, Row>> | null = null;
  targets: Listener<ReadonlyMap<string, TargetState>> | null = null;
  capacity: Listener<ReadonlyMap<string, CapacityState>> | null = null;

  follow(workload: string, run: string, listener: Listener<Snapshot>): IDisposable {
    this.views.set(`${workload}/${run}`, listener);
    listener({ kind: 'waiting' });
    return new DisposableDelegate(() => this.views.delete(`${workload}/${run}`));
  }

  followAll(listener: Listener<ReadonlyMap<string, Row>>): IDisposable {
    this.asked.push('follow');
    this.rows = listener;
    listener({ kind: 'waiting' });
    return new DisposableDelegate(() => {
      this.asked.push('leave');
    });
  }

  seen: readonly string[] = [];

  see(rows: readonly string[]): void {
    this.seen = rows;
  }

  followTargets(listener: Listener<ReadonlyMap<string, TargetState>>): IDisposable {
    this.targets = listener;
    return new DisposableDelegate(() => undefined);
  }

  followCapacity(listener: Listener<ReadonlyMap<string, CapacityState>>): IDisposable {
    this.asked.push('follow capacity');
    this.capacity = listener;
    return new DisposableDelegate(() => {
      this.asked.push('leave capacity');
    });
  }

  outputs(): Promise<Written> {
    return Promise.reject(new Error('Nothing was written'));
  }

  interrupt(workload: string, run: string): Promise<void> {
    return this._ask(`interrupt ${workload} ${run}`);
  }

  stop(workload: string): Promise<void> {
    return this._ask(`stop ${workload}`);
  }

  keep(workload: string): Promise<void> {
    return this._ask(`keep ${workload}`);
  }

  dashboard(workload: string, backend: string): string {
    return `/gpu-workbench/dask/${backend}/${workload}/status`;
  }

  startOptions(): Promise<StartOptions> {
    return Promise.reject(new Error('There is no form'));
  }

  planStart(): Promise<StartPlan> {
    return Promise.reject(new Error('There is no form'));
  }

  start(): Promise<Started> {
    return Promise.reject(new Error('There is no form'));
  }

  /** Send a list. */
  say(...rows: Row[]): void {
    this.rows?.({ kind: 'value', value: new Map(rows.map(one => [one.id, one])) });
  }

  private _ask(what: string): Promise<void> {
    this.asked.push(what);
    return what.includes('bad') ? Promise.reject(new Error('It cannot be')) : Promise.resolve();
  }
}
