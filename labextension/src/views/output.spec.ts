import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';

import { TestRuns } from '../testing';
import type { Connection, Known, Listener } from '../tokens';
import type { Snapshot } from '../wire';
import { MIME_TYPE } from '../models/snapshot';
import { see } from '../testing';
import { RunView } from './output';

/** Runs that say what the test wants, and note what was asked of them. */
class Said extends TestRuns {
  listener: Listener<Snapshot> | null = null;

  override follow(workload: string, run: string, listener: Listener<Snapshot>): IDisposable {
    this.asked.push(`follow ${workload}/${run}`);
    this.listener = listener;
    listener({ kind: 'waiting' });
    return new DisposableDelegate(() => {
      this.asked.push('leave');
      this.listener = null;
    });
  }

  override interrupt(workload: string, run: string): Promise<void> {
    this.asked.push(`interrupt ${workload}/${run}`);
    return Promise.resolve();
  }

  override keep(): Promise<void> {
    return Promise.reject(new Error('It is over'));
  }

  tell(known: Known<Snapshot>): void {
    this.listener?.(known);
  }
}

function snapshot(members: object): Snapshot {
  return {
    version: 1,
    id: 'abc',
    run: 'run-1',
    where: { backend: 'local', session: 'default' },
    snapshot: { saved: 'summary', phase: 'Running', word: 'Running', ...members }
  };
}

function model(data: unknown, trusted = true, text?: string): IRenderMime.IMimeModel {
  return {
    trusted,
    data: { [MIME_TYPE]: data, 'text/plain': text },
    metadata: {}
  } as unknown as IRenderMime.IMimeModel;
}

let runs: Said;
let view: RunView;

beforeEach(() => {
  runs = new Said();
  view = new RunView(runs);
});

afterEach(() => {
  view.dispose();
});

const text = () => view.node.textContent;

it('shows what the notebook has, then what the server says', async () => {
  await view.renderModel(model(snapshot({ answer: 'as saved' })));
  expect(text()).toContain('as saved');
  runs.tell({ kind: 'value', value: snapshot({ answer: 'as it is' }) });
  expect(text()).toContain('as it is');
  expect(text()).not.toContain('as saved');
});

it('never asks the server about an untrusted bundle, and offers nothing to do', async () => {
  await view.renderModel(model(snapshot({ answer: 'forged' }), false));
  expect(text()).toContain('forged');
  expect(runs.asked).toEqual([]);
  expect(view.node.querySelector('.gpuw-Button')).toBeNull();
});

it('does not follow a run that has ended', async () => {
  await view.renderModel(model(snapshot({ phase: 'Succeeded', word: 'Succeeded' })));
  expect(runs.asked).toEqual([]);
});

it('goes on with what it follows when the bundle is updated, and leaves when it goes', async () => {
  await view.renderModel(model(snapshot({})));
  await view.renderModel(model(snapshot({ ran: 2 })));
  expect(runs.asked).toEqual(['follow abc/run-1']);
  view.dispose();
  expect(runs.asked).toEqual(['follow abc/run-1', 'leave']);
});

it('hears of a run only while it is on the screen, and keeps what it heard last', async () => {
  await view.renderModel(model(snapshot({ answer: 'as saved' })));
  runs.tell({ kind: 'value', value: snapshot({ answer: 'as it was' }) });
  see(view.node, false);
  expect(runs.asked).toEqual(['follow abc/run-1', 'leave']);
  see(view.node, true);
  expect(runs.asked).toEqual(['follow abc/run-1', 'leave', 'follow abc/run-1']);
  expect(text()).toContain('as it was');
});

it('stops the run, and says why it could not be kept', async () => {
  await view.renderModel(model(snapshot({})));
  runs.tell({ kind: 'value', value: snapshot({ word: 'Idle' }) });
  const [keep, stop] = [...view.node.querySelectorAll<HTMLElement>('.gpuw-Button')];
  stop?.click();
  expect(runs.asked).toContain('interrupt abc/run-1');
  keep?.click();
  await vi.waitFor(() => {
    expect(text()).toContain('It is over');
  });
});

it('ends a run that is no part of a session', async () => {
  await view.renderModel(model(snapshot({ kind: 'job' })));
  runs.tell({ kind: 'value', value: snapshot({ kind: 'job' }) });
  view.node.querySelector<HTMLElement>('.gpuw-Button')?.click();
  expect(runs.asked).toContain('stop abc');
});

it('links to the dashboard of a Dask cluster only while it is live, and never from an untrusted bundle', async () => {
  const members = { kind: 'dask', dask: { count: 1, dashboard: true } } as const;
  const link = () => view.node.querySelector('a')?.getAttribute('href') ?? null;
  await view.renderModel(model(snapshot(members), false));
  expect(link()).toBeNull();
  await view.renderModel(model(snapshot(members)));
  expect(link()).toBeNull(); // as saved: nobody has said yet that it is there
  runs.tell({ kind: 'value', value: snapshot(members) });
  expect(link()).toBe('/gpu-workbench/dask/local/abc/status');
  runs.tell({ kind: 'error', message: 'It is gone' });
  expect(link()).toBeNull();
});

it('offers nothing to a guest', async () => {
  runs.mayAct = false;
  await view.renderModel(model(snapshot({})));
  runs.tell({ kind: 'value', value: snapshot({}) });
  expect(view.node.querySelector('.gpuw-Button')).toBeNull();
});

it.each<[Connection, string]>([
  [{ state: 'lost', since: 0 }, 'the server does not answer'],
  [
    { state: 'missing', why: 'The server has no extension', fix: 'Enable it' },
    'The server has no extension. Enable it'
  ]
])('says that it is not live: %o', async (connection, words) => {
  await view.renderModel(model(snapshot({})));
  runs.connection = connection;
  runs.connectionChanged.emit(connection);
  expect(text()).toContain(words);
});

it('shows what was saved, and does nothing, where this server knows of no such run', async () => {
  await view.renderModel(model(snapshot({ answer: 'as saved' })));
  runs.tell({ kind: 'error', message: "There is no run 'abc'" });
  expect(text()).toContain('as saved');
  expect(text()).toContain("Not live: There is no run 'abc'");
  expect(view.node.querySelector('.gpuw-Button')).toBeNull();
  runs.tell({ kind: 'value', value: snapshot({ answer: 'as it is' }) });
  expect(text()).not.toContain('Not live');
});

it.each([
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  '</style><iframe src=javascript:alert(1)>'
])('shows %s as text', async bad => {
  const members = { name: bad, answer: bad, hint: bad, notes: [bad], word: bad };
  await view.renderModel(model(snapshot(members)));
  runs.tell({
    kind: 'value',
    value: { ...snapshot(members), where: { backend: bad, gpus: bad, session: bad } }
  });
  expect(text()).toContain(bad);
  expect(view.node.querySelector('img, script, svg, iframe, style')).toBeNull();
});

it('shows the text of a newer version, and says where it can be drawn', async () => {
  const newer = { version: 2, id: 'abc', package: '9.1.0' };
  await view.renderModel(model(newer, true, '● Running <b>steps</b>'));
  expect(text()).toContain('A newer gpu-workbench 9.1.0 made this view');
  expect(text()).toContain('pip install --upgrade jupyter-gpu-workbench');
  expect(view.node.querySelector('pre')?.textContent).toBe('● Running <b>steps</b>');
  expect(runs.asked).toEqual([]);
  await view.renderModel(model(snapshot({ phase: 'Succeeded' })));
  expect(text()).not.toContain('<b>steps</b>');
  expect(view.node.querySelector('.gpuw-Card')).not.toBeNull();
});

it.each([null, 'x', { version: 1, id: 3 }, { version: '2' }])(
  'shows the text where %j is in place of a view',
  async data => {
    await view.renderModel(model(data, true, 'as text'));
    expect(text()).toContain('This view cannot be read');
    expect(view.node.querySelector('pre')?.textContent).toBe('as text');
  }
);

it('tells of the version of a kernel that goes on, where the notebook is trusted', async () => {
  const made = { ...snapshot({}), package: '9.1.0' };
  await view.renderModel(model(made, false));
  await view.renderModel(model({ ...snapshot({ phase: 'Succeeded' }), package: '9.2.0' }));
  expect(runs.versions.said).toBe('');
  await view.renderModel(model(made));
  expect(runs.versions.said).toContain('9.1.0');
});

describe('the log of a run', () => {
  let opened: string[];

  beforeEach(() => {
    opened = [];
    view.dispose();
    view = new RunView(runs, (...run) => opened.push(run.join(' ')));
  });

  const logs = () =>
    [...view.node.querySelectorAll('button')].find(button => button.textContent === 'Logs');

  it('is opened from its card while it goes on, and after it has ended', async () => {
    await view.renderModel(model(snapshot({})));
    runs.tell({ kind: 'value', value: snapshot({}) });
    runs.tell({ kind: 'value', value: snapshot({ name: 'train' }) });
    logs()?.click();
    await view.renderModel(model(snapshot({ name: 'train', phase: 'Failed', word: 'Failed' })));
    logs()?.click();
    expect(opened).toEqual(['abc run-1 train 0', 'abc run-1 train 0']);
  });

  it('is opened from the table of ranks, that of the rank', async () => {
    const ranks = [
      { rank: 0, phase: 'Running' },
      { rank: 3, phase: 'Running', last_line: 'epoch 2', progress: { label: 'step', done: 7 } }
    ] as const;
    await view.renderModel(model(snapshot({})));
    const all = snapshot({ name: 'train', ranks, rank_count: 8 });
    runs.tell({ kind: 'value', value: all });
    const find = (name: string) =>
      [...view.node.querySelectorAll('button')].find(
        button => (button.getAttribute('aria-label') ?? button.textContent) === name
      );
    find('Ranks')?.click();
    find('Log of rank 3')?.click();
    expect(opened).toEqual(['abc run-1 train 3']);
    const titles = [...view.node.querySelectorAll('th')].map(node => node.textContent);
    expect(titles).toEqual(['rank', 'phase', 'step', 'last line', 'log']);
    expect(view.node.querySelector('.gpuw-Ranks table')?.textContent).toContain('step 7');
    expect(view.node.querySelector('.gpuw-Ranks code')?.textContent).toBe('epoch 2');
  });

  it('is offered once it is known who looks', async () => {
    runs.mayAct = false;
    await view.renderModel(model(snapshot({ phase: 'Succeeded', word: 'Succeeded' })));
    expect(logs()).toBeUndefined();
    runs.mayAct = true;
    runs.connectionChanged.emit(runs.connection);
    expect(logs()).toBeDefined();
  });

  it.each(['Running', 'Succeeded'])(
    'is not offered by an untrusted notebook, and not to a guest: %s',
    async phase => {
      await view.renderModel(model(snapshot({ phase, word: phase }), false));
      runs.connectionChanged.emit(runs.connection);
      expect(logs()).toBeUndefined();
      runs.mayAct = false;
      await view.renderModel(model(snapshot({ phase, word: phase })));
      runs.tell({ kind: 'value', value: snapshot({ phase, word: phase }) });
      expect(logs()).toBeUndefined();
    }
  );
});
