/** The one WebSocket of this tab: topics are asked for when somebody looks, and again after a connection was lost. */

import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { Connection, IRuns, Known, Listener, StartForm, Written } from '../tokens';
import { trans } from '../translation';
import { SEEN_LIMIT } from '../wire';
import type {
  CapacityState,
  Row,
  Snapshot,
  Started,
  StartOptions,
  StartPlan,
  TargetState
} from '../wire';
import { pause } from './backoff';
import { BASE, checked, request } from './requests';
import { isMembers, nested, parse, Topic } from './topic';
import type { Members } from './topic';
import { Versions } from './versions';

const ALL = 'runs';
const TARGETS = 'targets';
const CAPACITY = 'capacity';

interface Followed {
  topic: Topic;
  known: Known<Members>;
  readonly listeners: Set<(known: Known<Members>) => void>;
}

/** Live facts of runs from the server's extension. */
export class Runs implements IRuns, IDisposable {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
    document.addEventListener('visibilitychange', this._onVisible);
    void this._greet();
  }

  get connection(): Connection {
    return this._connection;
  }

  get connectionChanged(): ISignal<this, Connection> {
    return this._connectionChanged;
  }

  get mayAct(): boolean {
    return this._mayAct;
  }

  get mayStart(): boolean {
    return this._mayStart;
  }

  readonly versions = new Versions();

  get isDisposed(): boolean {
    return this._disposed;
  }

  follow(workload: string, run: string, listener: Listener<Snapshot>): IDisposable {
    const topic = ['run', workload, run].filter(part => part !== '').join('/');
    return this._follow(topic, known => {
      listener(mapped(known, members => nested(members) as unknown as Snapshot));
    });
  }

  followAll(listener: Listener<ReadonlyMap<string, Row>>): IDisposable {
    return this._follow(ALL, known => {
      listener(mapped(known, byName<Row>));
    });
  }

  see(rows: readonly string[]): void {
    const seen = rows.slice(0, SEEN_LIMIT);
    if (seen.join() !== this._seen.join()) {
      this._seen = seen;
      this._say({ seen });
    }
  }

  followTargets(listener: Listener<ReadonlyMap<string, TargetState>>): IDisposable {
    return this._follow(TARGETS, known => {
      listener(mapped(known, byName<TargetState>));
    });
  }

  followCapacity(listener: Listener<ReadonlyMap<string, CapacityState>>): IDisposable {
    return this._follow(CAPACITY, known => {
      listener(mapped(known, byName<CapacityState>));
    });
  }

  async outputs(workload: string, run: string): Promise<Written> {
    const [one, other] = [encodeURIComponent(workload), encodeURIComponent(run)];
    const reply = await checked(await this._request(`runs/${one}/outputs/${other}`, {}));
    return (await reply.json()) as Written;
  }

  interrupt(workload: string, run: string): Promise<void> {
    return this._post(`runs/${encodeURIComponent(workload)}/interrupt`, { run, grade: 1 });
  }

  stop(workload: string): Promise<void> {
    return this._post(`runs/${encodeURIComponent(workload)}/stop`, {});
  }

  keep(workload: string, seconds: number): Promise<void> {
    return this._post(`runs/${encodeURIComponent(workload)}/keep`, { seconds });
  }

  dashboard(workload: string, backend: string): string {
    const path = [backend, workload].map(encodeURIComponent);
    return URLExt.join(this._settings.baseUrl, 'gpu-workbench/dask', ...path, 'status');
  }

  async startOptions(): Promise<StartOptions> {
    const reply = await checked(await this._request('start', {}));
    return (await reply.json()) as StartOptions;
  }

  async planStart(form: StartForm): Promise<StartPlan> {
    return (await this._posted('start', { ...form, dry_run: true })) as StartPlan;
  }

  async start(form: StartForm): Promise<Started> {
    return (await this._posted('start', form)) as Started;
  }

  dispose(): void {
    this._disposed = true;
    document.removeEventListener('visibilitychange', this._onVisible);
    window.clearTimeout(this._timer);
    this._socket?.close();
    Signal.clearData(this);
  }

  private _follow(topic: string, listener: (known: Known<Members>) => void): IDisposable {
    let followed = this._followed.get(topic);
    if (followed === undefined) {
      followed = { topic: new Topic(), known: { kind: 'waiting' }, listeners: new Set() };
      this._followed.set(topic, followed);
      this._say({ subscribe: topic });
    }
    followed.listeners.add(listener);
    listener(followed.known);
    return new DisposableDelegate(() => {
      followed.listeners.delete(listener);
      if (followed.listeners.size === 0 && this._followed.get(topic) === followed) {
        this._followed.delete(topic);
        this._say({ unsubscribe: topic });
      }
    });
  }

  /** Ask whether the extension is there at all, then connect. */
  private async _greet(): Promise<void> {
    try {
      const reply = await this._request('hello', {});
      if (reply.status === 404) {
        this._become({
          state: 'missing',
          why: trans.__('The Jupyter server has no extension of GPU Workbench'),
          fix: trans.__('Run %1 and restart it', '`jupyter server extension enable gpu_workbench`')
        });
        return;
      }
      if (!this._welcomed(await (await checked(reply)).json())) {
        return;
      }
      this._connect();
    } catch {
      this._retry();
    }
  }

  /** Take in who answers and what may be done here; `false` where page and server do not understand each other. */
  private _welcomed(form: unknown): boolean {
    const { version, wire, may } = isMembers(form) ? form : {};
    this.versions.heard({
      version: typeof version === 'string' ? version : trans.__('of an unknown version'),
      wire: typeof wire === 'number' ? wire : 0
    });
    const differs = this.versions.difference;
    const works = differs === null || differs.works;
    this._mayAct = works && isMembers(may) && may.act === true;
    this._mayStart = works && isMembers(may) && may.start === true;
    if (works) {
      return true;
    }
    this._become({ state: 'missing', why: differs.what, fix: differs.fix });
    return false;
  }

  private _connect(): void {
    if (this._disposed) {
      return;
    }
    const { wsUrl, token, appendToken, WebSocket: Socket } = this._settings;
    let url = URLExt.join(wsUrl, BASE, 'live');
    if (appendToken && token !== '') {
      url += `?token=${encodeURIComponent(token)}`;
    }
    const socket = new Socket(url);
    this._socket = socket;
    socket.onopen = () => {
      this._failures = 0;
      this._become({ state: 'open' });
      this._say({ seen: this._seen });
      for (const topic of this._followed.keys()) {
        this._say({ subscribe: topic });
      }
    };
    socket.onmessage = event => {
      if (typeof event.data === 'string') {
        this._take(event.data);
      }
    };
    socket.onclose = () => {
      if (this._socket === socket && !this._disposed) {
        this._socket = null;
        this._retry();
      }
    };
  }

  private _retry(): void {
    if (this._connection.state !== 'lost') {
      this._become({ state: 'lost', since: Date.now() });
    }
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._greet(), pause(this._failures));
    this._failures += 1;
  }

  private readonly _onVisible = (): void => {
    if (document.visibilityState === 'visible' && this._connection.state === 'lost') {
      this._failures = 0;
      this._retry();
    }
  };

  private _become(connection: Connection): void {
    this._connection = connection;
    this._connectionChanged.emit(connection);
  }

  private _say(form: Members): void {
    if (this._socket?.readyState === 1) {
      this._socket.send(JSON.stringify(form));
    }
  }

  private _take(text: string): void {
    const message = parse(text);
    const followed = message?.topic == null ? undefined : this._followed.get(message.topic);
    if (message === null || followed === undefined) {
      return;
    }
    if ('message' in message) {
      followed.known = { kind: 'error', message: message.message };
    } else if (followed.topic.take(message)) {
      followed.known = { kind: 'value', value: followed.topic.members };
    } else {
      this._say({ subscribe: message.topic });
      return;
    }
    for (const listener of [...followed.listeners]) {
      listener(followed.known);
    }
  }

  private async _post(path: string, form: Members): Promise<void> {
    await this._posted(path, form);
  }

  private async _posted(path: string, form: Members): Promise<unknown> {
    const reply = await this._request(path, { method: 'POST', body: JSON.stringify(form) });
    return (await checked(reply)).json();
  }

  private _request(path: string, init: RequestInit): Promise<Response> {
    return request(this._settings, path, init);
  }

  private readonly _settings: ServerConnection.ISettings;
  private _seen: readonly string[] = [];
  private readonly _followed = new Map<string, Followed>();
  private readonly _connectionChanged = new Signal<this, Connection>(this);
  private _connection: Connection = { state: 'connecting' };
  private _mayAct = false;
  private _mayStart = false;
  private _socket: WebSocket | null = null;
  private _failures = 0;
  private _timer = 0;
  private _disposed = false;
}

function mapped<T>(known: Known<Members>, read: (members: Members) => T): Known<T> {
  return known.kind === 'value' ? { kind: 'value', value: read(known.value) } : known;
}

function byName<T>(members: Members): ReadonlyMap<string, T> {
  return new Map(Object.entries(members) as [string, T][]);
}
