import { NotebookActions } from '@jupyterlab/notebook';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';

import { MIME_TYPE } from '../models/snapshot';
import { row, TestRuns } from '../testing';
import type { Phase, Row, Snapshot } from '../wire';
import { detach } from './detach';

const WAITING = { workload: 'abc', run: 'r1' };

function snapshot(phase: Phase): Snapshot {
  const shown = { saved: 'full', phase, word: phase } as const;
  return { version: 1, id: 'abc', run: 'r1', where: { backend: 'local' }, snapshot: shown };
}

/** A notebook with one cell that waits, in a kernel that this page has given it. */
class Open {
  constructor(source = '%%gpu\nx') {
    this.source = source;
    const data = { [MIME_TYPE]: snapshot('Queued') };
    const sharedModel = {
      getSource: () => this.source,
      setSource: (text: string) => (this.source = text)
    };
    const cell = {
      model: {
        type: 'code',
        outputs: { length: 1, get: () => ({ data }) },
        sharedModel,
        executionCount: null,
        executionState: 'running',
        getMetadata: () => undefined
      }
    };
    this.cells.push(cell);
    this.notebooks = {
      find: (one: (panel: unknown) => boolean) => [this.panel].find(one)
    } as unknown as INotebookTracker;
  }

  source: string;
  readonly notebooks: INotebookTracker;
  readonly cells: { model: Record<string, unknown> }[] = [];
  readonly kernel = {
    status: 'busy',
    statusChanged: new Signal<object, string>({}),
    interrupt: () => {
      this.interrupts += 1;
      this.kernel.status = 'idle';
      return Promise.resolve();
    }
  };
  interrupts = 0;
  private readonly panel = {
    content: { widgets: this.cells },
    context: { localPath: 'a.ipynb' },
    sessionContext: { session: { kernel: this.kernel } }
  };
}

/** What the server tells of the run, and of the session. */
function told(phase: Phase, members: Partial<Row>): TestRuns {
  const runs = new TestRuns();
  runs.follow = (_workload, _run, listener) => {
    queueMicrotask(() => {
      listener({ kind: 'value', value: snapshot(phase) });
    });
    return { isDisposed: false, dispose: () => undefined };
  };
  runs.followAll = listener => {
    const found = row('abc', { phase, path: 'a.ipynb', ...members });
    queueMicrotask(() => {
      listener({ kind: 'value', value: new Map([['abc', found]]) });
    });
    return { isDisposed: false, dispose: () => undefined };
  };
  return runs;
}

let ends = true;

beforeEach(() => {
  ends = true;
  vi.spyOn(NotebookActions, 'runCells').mockImplementation(() => Promise.resolve(ends));
});

afterEach(() => {
  vi.restoreAllMocks();
});

const ran = () => vi.mocked(NotebookActions.runCells).mock.calls.length;

it('runs the cell again as one that needs no notebook, and gives up the place of its session', async () => {
  const [open, runs] = [new Open(), told('Queued', {})];
  await detach(open.notebooks, runs, WAITING, null);
  expect([open.interrupts, open.source, ran()]).toEqual([1, '%%gpu --detach\nx', 1]);
  expect(runs.asked).toEqual(['stop abc']);
});

it.each([
  ['that runs already', { phase: 'Running' }],
  ['of another notebook', { path: 'b.ipynb' }]
] as const)('leaves a session %s', async (_, members) => {
  const [open, runs] = [new Open(), told('Queued', members)];
  await detach(open.notebooks, runs, WAITING, null);
  expect([ran(), runs.asked]).toEqual([1, []]);
});

it('keeps the place of a cell that could not be sealed', async () => {
  ends = false;
  const [open, runs] = [new Open(), told('Queued', {})];
  await detach(open.notebooks, runs, WAITING, null);
  expect([ran(), runs.asked]).toEqual([1, []]);
});

const other = { model: { type: 'code', executionState: 'running' } };

it.each([
  ['has a flag against it', new Open('%%gpu --session a\nx'), 'Queued', '--session and --detach'],
  ['has started', new Open(), 'Running', 'waits no longer'],
  [
    'has not got the kernel',
    Object.assign(new Open(), {
      prepare: (open: Open) => {
        open.cells.push(other);
        Object.assign(open.cells[0]?.model ?? {}, { executionState: 'idle' });
      }
    }),
    'Queued',
    'runs something else'
  ]
] as const)('touches nothing of a cell that %s', async (_, open, phase, why) => {
  if ('prepare' in open) {
    open.prepare(open);
  }
  const before = open.source;
  await expect(detach(open.notebooks, told(phase, {}), WAITING, null)).rejects.toThrow(why);
  expect([open.interrupts, open.source, ran()]).toEqual([0, before, 0]);
});
