/** What the plugins know of each other. */

import type { IOutput } from '@jupyterlab/nbformat';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type {
  CapacityState,
  Row,
  Snapshot,
  Started,
  StartOptions,
  StartPlan,
  TargetState
} from './wire';

/** Whether the server answers, and since when it does not. */
export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'open' }
  | { readonly state: 'lost'; readonly since: number }
  | { readonly state: 'missing'; readonly why: string; readonly fix: string };

/** What is known of a topic: nothing yet, a value, or why there is none. */
export type Known<T> =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly message: string };

/** A run's output from its journal. */
export interface Written {
  readonly outputs: readonly IOutput[];

  /** Its view, as the notebook would have it after these outputs. */
  readonly view: IOutput;
}

/** Called with each new state of a topic. */
export type Listener<T> = (known: Known<T>) => void;

/** What is typed into the form that starts a session, by field; a field without a value is as if it were not there. */
export type StartForm = Readonly<Record<string, string | readonly string[]>>;

/** Whether page, server and kernels are of versions that work together. */
export interface IVersions {
  /** What differs, whether it still works, and what to do; empty where there is nothing to say. */
  readonly said: string;

  /** Emitted when that may have changed. */
  readonly changed: ISignal<IVersions, void>;

  /** A kernel that goes on has this version of the package. */
  saw(kernel: string): void;
}

/** Live facts of runs, over the one WebSocket of this tab, and what may be done to them. */
export interface IRuns {
  /** Whether the server answers. */
  readonly connection: Connection;

  /** Emitted when that changes. */
  readonly connectionChanged: ISignal<IRuns, Connection>;

  /** Whether whoever looks may stop and keep runs; false until the server has said so. */
  readonly mayAct: boolean;

  /** Whether whoever looks may start sessions; false until the server has said so. */
  readonly mayStart: boolean;

  /** Whether all ends are of versions that work together. */
  readonly versions: IVersions;

  /** Follow a workload, or one run in it, until the result is disposed. */
  follow(workload: string, run: string, listener: Listener<Snapshot>): IDisposable;

  /** Follow the list of all workloads, until the result is disposed. */
  followAll(listener: Listener<ReadonlyMap<string, Row>>): IDisposable;

  /** Say which workloads' rows are on the screen: of those alone the list is kept up to date every second. */
  see(rows: readonly string[]): void;

  /** Follow which backends are looked at and what is wrong with them, until the result is disposed. */
  followTargets(listener: Listener<ReadonlyMap<string, TargetState>>): IDisposable;

  /** Follow which GPUs each backend has and who holds them, until the result is disposed: they are counted meanwhile. */
  followCapacity(listener: Listener<ReadonlyMap<string, CapacityState>>): IDisposable;

  /** What a run has written, as a notebook has it. Rejects with the server's own sentence. */
  outputs(workload: string, run: string): Promise<Written>;

  /** Interrupt one run in a session, which keeps all it has. Rejects with the server's own sentence. */
  interrupt(workload: string, run: string): Promise<void>;

  /** End a workload and release its GPUs. Rejects with the server's own sentence. */
  stop(workload: string): Promise<void>;

  /** Put off the end of an idle session by so many seconds. Rejects with the server's own sentence. */
  keep(workload: string, seconds: number): Promise<void>;

  /** Address of the dashboard of a Dask cluster. */
  dashboard(workload: string, backend: string): string;

  /** What the form that starts a session offers. Rejects with the server's own sentence. */
  startOptions(): Promise<StartOptions>;

  /** What a form asks for. Rejects with `Refused`. */
  planStart(form: StartForm): Promise<StartPlan>;

  /** Start a session; it may wait long before it runs. Rejects with `Refused`. */
  start(form: StartForm): Promise<Started>;
}

export const IRuns = new Token<IRuns>(
  '@gpu-workbench/labextension:IRuns',
  'Live facts of the runs of GPU Workbench, and what may be done to them.'
);

/** The panel in the side bar, to which other plugins add. */
export interface IRunsPanel {
  /** Beside its title, for buttons. */
  readonly actions: HTMLElement;

  /** Above the list. */
  readonly top: HTMLElement;

  /** Bring it onto the screen. */
  open(): void;
}

export const IRunsPanel = new Token<IRunsPanel>(
  '@gpu-workbench/labextension:IRunsPanel',
  'The panel of GPU Workbench in the side bar.'
);

/** What the user prefers. */
export interface IPreferences {
  /** Emitted when any of it changes. */
  readonly changed: ISignal<IPreferences, void>;
  /** Whether to say when a long run has started, failed or is done. */
  readonly notifications: boolean;
  /** Seconds after which a run is a long one. */
  readonly notifyAfter: number;
  /** Whether notebooks have "Run on GPU" in their toolbar. */
  readonly toolbarButton: boolean;
}

export const IPreferences = new Token<IPreferences>(
  '@gpu-workbench/labextension:IPreferences',
  'What the user of GPU Workbench prefers.'
);
