/**
 * What the server sends. Written by labextension/wire_types.py from the Python model; do not edit.
 *
 * A member that holds its default is left out.
 */

/** Version of the package that this was built from. */
export const PACKAGE = '0.1.0';

/** Version of what is said to the server and by it. */
export const WIRE = 1;

/** Version of the MIME bundle's data. */
export const BUNDLE = 1;

/** Rows that a browser may have on its screen. */
export const SEEN_LIMIT = 200;

/** Flags of `%%gpu` that contradict `--detach`. */
export const NOT_DETACHED = ['--idle-limit', '--ranks', '--session'];

/** What the MIME bundle carries: ``{version, id, run, where, snapshot, package}``. */
export interface Snapshot {
  readonly version: number;
  readonly id: string;
  readonly run: string;
  readonly where: Where;
  readonly snapshot: Shown;
  readonly package?: string;
}

/** Where a run runs, in words. */
export interface Where {
  readonly backend: string;
  readonly session?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly gpus?: string;
  readonly nodes?: readonly string[];
  readonly price?: number | null;
  readonly currency?: string;
  readonly hidden?: readonly string[];
}

/** One moment of a run, or of a workload where there is no run. */
export interface Shown {
  readonly saved: Saved;
  readonly kind?: Kind;
  readonly phase?: Phase;
  readonly word?: string;
  readonly name?: string;
  readonly cell?: string;
  readonly answer?: string;
  readonly hint?: string;
  readonly notes?: readonly string[];
  readonly waited?: number | null;
  readonly ran?: number | null;
  readonly progress?: Progress | null;
  readonly explanation?: Explanation | null;
  readonly failure?: Failure | null;
  readonly results?: readonly ResultLine[];
  readonly receipt?: Receipt | null;
  readonly cost?: string;
  readonly chart?: Chart | null;
  readonly ranks?: readonly RankLine[];
  readonly rank_count?: number;
  readonly moments?: readonly Moment[];
  readonly ending?: Ending | null;
  readonly simulated?: boolean;
  readonly characters?: Readonly<Record<string, number>>;
  readonly displays?: number;
  readonly truncated?: number;
  readonly published?: Published;
  readonly dask?: DaskShown | null;
}

/** How much of a view may stay in the notebook file. */
export type Saved = 'summary' | 'full' | 'none';

/** What a workload is for. */
export type Kind = 'session' | 'job' | 'dask' | 'ray' | 'service' | 'kernel' | 'store';

/** Where a run or a workload stands. A session that runs is shown as Idle or Busy. */
export type Phase = 'Queued' | 'Pending' | 'Starting' | 'Running' | 'Stopping' | 'Succeeded' | 'Failed' | 'Stopped' | 'Lost';

/** How far a loop has come. ``total`` and what follows from it is ``None`` where it is not known. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total?: number | null;
  readonly unit?: string;
  readonly rate?: number | null;
  readonly seconds_left?: number | null;
}

/** Why something waits or ended, in one sentence, with what to do and where it was read. */
export interface Explanation {
  readonly code: string;
  readonly sentence: string;
  readonly fix?: string;
  readonly source?: string;
  readonly waits?: boolean;
}

/** What went wrong, in words. */
export interface Failure {
  readonly cause: Cause;
  readonly what: string;
  readonly detail?: string;
  readonly rank?: number;
  readonly exit_code?: number | null;
  readonly signal?: string | null;
}

/** Why a run or a rank failed, as far as it was seen. */
export type Cause = 'user-error' | 'syntax-error' | 'interrupted' | 'exited' | 'signalled' | 'out-of-memory' | 'cuda-out-of-memory' | 'time-limit' | 'stopped' | 'lost' | 'not-started';

/** A value that came back, or can be fetched, and its size in bytes. */
export interface ResultLine {
  readonly name: string;
  readonly size: number;
}

/** What a run cost. A figure that was not measured is ``None``. */
export interface Receipt {
  readonly seconds: number;
  readonly waited?: number;
  readonly gpus?: number;
  readonly gpu_seconds?: number;
  readonly mean_utilisation?: number | null;
  readonly peak_memory?: number | null;
  readonly simulated?: boolean;
  readonly restarts?: number;
}

/** Utilisation and memory over the last ``seconds``, on axes from 0 to 100 per cent. */
export interface Chart {
  readonly seconds: number;
  readonly count: number;
  readonly gpus?: readonly GpuSeries[];
  readonly utilisation?: Band | null;
  readonly memory?: Band | null;
  readonly busy?: number | null;
  readonly memory_used?: number | null;
  readonly memory_total?: number | null;
  readonly missing?: Readonly<Record<string, string>>;
}

/** One GPU over the chart's window, with its latest figures. What is missing is ``None``. */
export interface GpuSeries {
  readonly rank: number;
  readonly gpu: number;
  readonly name?: string;
  readonly utilisation?: readonly (number | null)[];
  readonly memory?: readonly (number | null)[];
  readonly busy?: number | null;
  readonly memory_used?: number | null;
  readonly memory_total?: number | null;
  readonly temperature?: number | null;
  readonly power?: number | null;
  readonly clock?: number | null;
  readonly clock_max?: number | null;
  readonly throttle?: readonly string[];
  readonly slowed?: string;
  readonly missing?: Readonly<Record<string, string>>;
}

/** How the GPUs of a large gang spread at each point. */
export interface Band {
  readonly p10?: readonly (number | null)[];
  readonly p50?: readonly (number | null)[];
  readonly p90?: readonly (number | null)[];
}

/** One rank in the table of ranks. */
export interface RankLine {
  readonly rank: number;
  readonly phase?: Phase;
  readonly host?: string;
  readonly gpus?: number;
  readonly busy?: number | null;
  readonly memory_used?: number | null;
  readonly memory_total?: number | null;
  readonly clock?: number | null;
  readonly clock_max?: number | null;
  readonly slowed?: string;
  readonly progress?: Progress | null;
  readonly last_line?: string;
  readonly failure?: Failure | null;
}

/** Something that happened ``at`` seconds after the run was asked for. */
export interface Moment {
  readonly at: number;
  readonly what: string;
}

/** A limit after which the workload ends by itself, in seconds from now. */
export interface Ending {
  readonly name: string;
  readonly seconds: number;
}

/** How much of a run's output stands in the cell already. */
export interface Published {
  readonly cursor?: string;
  readonly characters?: Readonly<Record<string, number>>;
  readonly displays?: number;
}

/** A Dask cluster as its scheduler sees it. */
export interface DaskShown {
  readonly wanted?: number | null;
  readonly count?: number | null;
  readonly tasks?: DaskCounts;
  readonly workers?: readonly DaskWorkerLine[];
  readonly rest?: DaskWorkerLine | null;
  readonly all?: DaskWorkerLine;
  readonly clients?: number;
  readonly moved?: number;
  readonly lost?: number;
  readonly idle?: number | null;
  readonly waits?: Explanation | null;
  readonly past?: DaskPast | null;
  readonly dashboard?: boolean;
}

/** The tasks of the Dask computation that is under way, or of the last one. */
export interface DaskCounts {
  readonly done?: number;
  readonly failed?: number;
  readonly running?: number;
  readonly waiting?: number;
  readonly stuck?: number;
  readonly retried?: number;
  readonly rate?: number | null;
  readonly seconds_left?: number | null;
  readonly groups?: readonly DaskGroup[];
}

/** The tasks of one function of a Dask computation. */
export interface DaskGroup {
  readonly name: string;
  readonly done: number;
  readonly total: number;
}

/** One Dask worker in the table of workers, or several of them together. */
export interface DaskWorkerLine {
  readonly name?: string;
  readonly whole?: string;
  readonly note?: string;
  readonly threads?: number;
  readonly executing?: number;
  readonly waiting?: number;
  readonly cpu?: number | null;
  readonly memory?: number | null;
  readonly memory_limit?: number | null;
  readonly spilled?: number;
  readonly sent?: number;
  readonly received?: number;
  readonly gpus?: number;
  readonly busy?: number | null;
  readonly gpu_memory?: number | null;
  readonly gpu_memory_total?: number | null;
  readonly missing?: string;
}

/** What a Dask cluster did over the last ``seconds``, oldest first; a gap where nothing is known. */
export interface DaskPast {
  readonly seconds: number;
  readonly busy?: readonly (number | null)[];
  readonly rate?: readonly (number | null)[];
  readonly utilisation?: readonly (number | null)[];
}

/** A workload in the panel. */
export interface Row {
  readonly id: string;
  readonly backend: string;
  readonly started: number;
  readonly notebook?: string;
  readonly path?: string;
  readonly file?: string;
  readonly cell?: string;
  readonly image?: string;
  readonly namespace?: string;
  readonly gpus?: string;
  readonly gpu_count?: number;
  readonly busy?: number | null;
  readonly trend?: readonly (number | null)[];
  readonly kind?: Kind;
  readonly phase?: Phase;
  readonly word?: string;
  readonly name?: string;
  readonly answer?: string;
  readonly waited?: number | null;
  readonly ran?: number | null;
  readonly progress?: Progress | null;
  readonly cost?: string;
  readonly simulated?: boolean;
  readonly ending?: Ending | null;
  readonly runs?: readonly RunLine[];
  readonly recorded?: boolean;
}

/** A run in a session, as far as its row tells of it. */
export interface RunLine {
  readonly id: string;
  readonly name?: string;
  readonly cell?: string;
  readonly phase?: Phase;
  readonly waited?: number | null;
  readonly ran?: number | null;
}

/** A backend that is looked at. */
export interface TargetState {
  readonly name: string;
  readonly error?: string;
}

/** The GPUs of a backend. */
export interface CapacityState {
  readonly name: string;
  readonly capacity?: Capacity | null;
  readonly error?: string;
}

/** The GPUs of one cluster, or of this machine. */
export interface Capacity {
  readonly namespace?: string;
  readonly kinds?: readonly GpuKind[];
  readonly starting?: number;
  readonly waiting?: readonly Waiting[];
  readonly places?: readonly string[];
  readonly quotas?: readonly Quota[];
  readonly unseen?: readonly Unseen[];
}

/** The GPUs of one kind, on nodes that are ready and take pods. ``None`` is what cannot be seen. */
export interface GpuKind {
  readonly name: string;
  readonly resource: string;
  readonly total?: number | null;
  readonly mine?: number | null;
  readonly others?: number | null;
  readonly free?: number | null;
  readonly closed?: number;
  readonly simulated?: boolean;
}

/** GPUs that are asked for by what has no place yet. ``None`` is what cannot be seen. */
export interface Waiting {
  readonly name: string;
  readonly mine?: number | null;
  readonly others?: number | null;
}

/** What a namespace may have of a resource. */
export interface Quota {
  readonly name: string;
  readonly resource: string;
  readonly hard: number;
  readonly used?: number | null;
}

/** Something this user may not see, by the right that is missing. */
export interface Unseen {
  readonly verb: string;
  readonly resource: string;
  readonly namespace?: string;
}

/** What the form that starts a session offers. */
export interface StartOptions {
  readonly target: string;
  readonly targets: readonly StartTarget[];
  readonly fields: readonly StartField[];
}

/** A place where sessions can be started. */
export interface StartTarget {
  readonly name: string;
  readonly title: string;
  readonly profile: string;
  readonly profiles: readonly StartProfile[];
}

/** A profile that can be chosen, and what holds under it where nothing is typed, by field. */
export interface StartProfile {
  readonly name: string;
  readonly defaults: Readonly<Record<string, string>>;
}

/** A field of the form that starts a session. */
export interface StartField {
  readonly key: string;
  readonly label: string;
  readonly help: string;
  readonly value?: string;
  readonly example?: string;
  readonly choices?: readonly string[];
  readonly many?: boolean;
  readonly advanced?: boolean;
  readonly cluster?: boolean;
}

/** What a form asks for. Nothing was started. */
export interface StartPlan {
  readonly words: string;
  readonly name: string;
  readonly idle_limit: number;
  readonly note?: string;
  readonly price?: number | null;
  readonly currency?: string;
}

/** A session that was started; it may wait long before it runs. */
export interface Started {
  readonly id: string;
  readonly name: string;
  readonly line: string;
}

/** A part of a log. */
export interface LogPage {
  readonly cursor: string;
  readonly pieces?: readonly LogPiece[];
  readonly more?: boolean;
  readonly end?: boolean;
  readonly why?: string;
}

/** A piece of a log as text. */
export interface LogPiece {
  readonly stream: string;
  readonly text: string;
  readonly at?: number | null;
}
