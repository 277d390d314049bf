/** What the plugins know of each other. */

import type { IOutput } from '@jupyterlab/nbformat';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { Row, Snapshot, TargetState } from './wire';

/** Whether the server answers, and since when it does not. */
export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'open' }
  | { readonly state: 'lost'; readonly since: number }
  | { readonly state: 'missing'; readonly why: string };

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

/** Live facts of runs, over the one WebSocket of this tab, and what may be done to them. */
export interface IRuns {
  /** Whether the server answers. */
  readonly connection: Connection;

  /** Emitted when that changes. */
  readonly connectionChanged: ISignal<IRuns, Connection>;

  /** Whether whoever looks may stop and keep runs; false until the server has said so. */
  readonly mayAct: boolean;

  /** Follow a workload, or one run in it, until the result is disposed. */
  follow(workload: string, run: string, listener: Listener<Snapshot>): IDisposable;

  /** Follow the list of all workloads, until the result is disposed. */
  followAll(listener: Listener<ReadonlyMap<string, Row>>): IDisposable;

  /** Follow which backends are looked at and what is wrong with them, until the result is disposed. */
  followTargets(listener: Listener<ReadonlyMap<string, TargetState>>): IDisposable;

  /** What a run has written, as a notebook has it. Rejects with the server's own sentence. */
  outputs(workload: string, run: string): Promise<Written>;

  /** Interrupt one run in a session, which keeps all it has. Rejects with the server's own sentence. */
  interrupt(workload: string, run: string): Promise<void>;

  /** End a workload and release its GPUs. Rejects with the server's own sentence. */
  stop(workload: string): Promise<void>;

  /** Put off the end of an idle session by so many seconds. Rejects with the server's own sentence. */
  keep(workload: string, seconds: number): Promise<void>;
}

export const IRuns = new Token<IRuns>(
  '@gpu-workbench/labextension:IRuns',
  'Live facts of the runs of GPU Workbench, and what may be done to them.'
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
