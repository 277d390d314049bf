import { YNotebook } from '@jupyter/ydoc';
import type { YCodeCell } from '@jupyter/ydoc';
import { CodeCellModel } from '@jupyterlab/cells';
import { isStream } from '@jupyterlab/nbformat';
import type { IOutput } from '@jupyterlab/nbformat';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import { applyUpdate, encodeStateAsUpdate } from 'yjs';

import { TestRuns } from '../testing';
import type { Known, Listener, Written } from '../tokens';
import type { Snapshot } from '../wire';
import { charactersOf, runOf } from './cell';
import { goesOn, lacks, Mending } from './mending';
import { Refused } from './refused';
import { MIME_TYPE } from './snapshot';

function snapshot(phase: string, characters: Record<string, number> = {}): Snapshot {
  return {
    version: 1,
    id: 'abc',
    run: 'run-1',
    where: { backend: 'local' },
    snapshot: { saved: 'summary', phase, word: phase, characters }
  } as unknown as Snapshot;
}

function view(found: Snapshot): IOutput {
  return { output_type: 'display_data', data: { [MIME_TYPE]: found }, metadata: {} } as never;
}

function stream(text: string): IOutput {
  return { output_type: 'stream', name: 'stdout', text };
}

/** A run whose journal the test writes. */
class Said extends TestRuns {
  reads = 0;
  written: Written | null = null;
  wrong = new Error('It is not there');
  listener: Listener<Snapshot> | null = null;

  override follow(_workload: string, _run: string, listener: Listener<Snapshot>): IDisposable {
    this.listener = listener;
    listener({ kind: 'waiting' });
    return new DisposableDelegate(() => {
      this.listener = null;
    });
  }

  override outputs(): Promise<Written> {
    this.reads += 1;
    return this.written === null ? Promise.reject(this.wrong) : Promise.resolve(this.written);
  }

  tell(known: Known<Snapshot>): void {
    this.listener?.(known);
  }
}

let runs: Said;
let cell: CodeCellModel;
let mending: Mending;

beforeEach(() => {
  runs = new Said();
  cell = new CodeCellModel();
  cell.outputs.fromJSON([stream('one\n'), view(snapshot('Running'))]);
  mending = new Mending(runs, cell);
});

afterEach(() => {
  mending.dispose();
});

const text = () =>
  cell.outputs
    .toJSON()
    .filter(isStream)
    .map(output => (typeof output.text === 'string' ? output.text : output.text.join('')))
    .join('');

it('knows what a cell has', () => {
  expect(charactersOf(cell)).toEqual({ stdout: 4 });
  expect(runOf(cell)?.id).toBe('abc');
  expect(lacks(cell, snapshot('Running', { stdout: 4 }).snapshot)).toBe(false);
  expect(lacks(cell, snapshot('Running', { stdout: 5 }).snapshot)).toBe(true);
  expect(lacks(cell, snapshot('Running', { stderr: 1 }).snapshot)).toBe(true);
});

it('leaves a cell alone that has all of it', () => {
  runs.tell({ kind: 'value', value: snapshot('Running', { stdout: 4 }) });
  expect(runs.reads).toBe(0);
});

it('writes a cell whole that lacks some, and once more at the end', async () => {
  runs.written = { outputs: [stream('one\ntwo\n')], view: view(snapshot('Running')) };
  runs.tell({ kind: 'value', value: snapshot('Running', { stdout: 8 }) });
  await vi.waitFor(() => {
    expect(text()).toBe('one\ntwo\n');
  });
  expect(mending.isDisposed).toBe(false);
  runs.written = { outputs: [stream('one\ntwo\n')], view: view(snapshot('Succeeded')) };
  runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
  await vi.waitFor(
    () => {
      expect(mending.isDisposed).toBe(true);
    },
    { timeout: 5000 }
  );
  expect(runOf(cell)?.snapshot.phase).toBe('Succeeded');
  expect(runs.reads).toBe(2);
});

it('leaves a view alone that is as it should be: it may have the focus', async () => {
  const stays = cell.outputs.get(1);
  runs.written = { outputs: [stream('one\ntwo\n')], view: view(snapshot('Running')) };
  runs.tell({ kind: 'value', value: snapshot('Running', { stdout: 8 }) });
  await vi.waitFor(() => {
    expect(text()).toBe('one\ntwo\n');
  });
  expect(cell.outputs.get(1)).toBe(stays);
});

it.each([
  ['Running', true, 'run-1', true],
  ['Running', false, 'run-1', false],
  ['Running', true, '', false],
  ['Succeeded', true, 'run-1', false]
])('is for trusted cells whose run goes on: %s %s %s', (phase, trusted, run, expected) => {
  cell.trusted = trusted;
  cell.outputs.fromJSON([view({ ...snapshot(phase), run })]);
  expect(goesOn(cell)).toBe(expected);
});

describe('where the journal cannot be had', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const there = () => {
    runs.written = { outputs: [stream('one\ntwo\n')], view: view(snapshot('Succeeded')) };
  };

  it('leaves what stands there, and asks again until it can', async () => {
    await vi.advanceTimersByTimeAsync(5000);
    expect(runs.reads).toBeGreaterThan(2);
    expect(text()).toBe('one\n');
    there();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(text()).toBe('one\ntwo\n');
    expect(mending.isDisposed).toBe(true);
  });

  it('asks less and less often, and at last no more, until the server is there anew', async () => {
    await vi.advanceTimersByTimeAsync(30_000);
    expect(runs.reads).toBeLessThan(12);
    await vi.advanceTimersByTimeAsync(600_000);
    const { reads } = runs;
    expect(reads).toBeLessThan(15);
    await vi.advanceTimersByTimeAsync(600_000);
    runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
    expect(runs.reads).toBe(reads);
    there();
    runs.connectionChanged.emit({ state: 'open' });
    await vi.advanceTimersByTimeAsync(100);
    expect(text()).toBe('one\ntwo\n');
  });

  it.each([
    [404, 1],
    [503, 3]
  ])('asks again unless the answer would be the same: %i', async (status, least) => {
    mending.dispose();
    runs.wrong = new Refused('There is no run', {}, status);
    runs.reads = 0;
    mending = new Mending(runs, cell);
    runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(runs.reads).toBeGreaterThanOrEqual(least);
    expect(mending.isDisposed).toBe(status === 404);
    expect(text()).toBe('one\n');
  });

  it('asks no more once it is let go', async () => {
    await vi.advanceTimersByTimeAsync(0);
    mending.dispose();
    const { reads } = runs;
    runs.connectionChanged.emit({ state: 'open' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(runs.reads).toBe(reads);
  });
});

it('does not write into a cell that has another run by now', async () => {
  runs.written = { outputs: [stream('old')], view: view(snapshot('Succeeded')) };
  runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
  cell.outputs.fromJSON([stream('new')]);
  await vi.waitFor(() => {
    expect(mending.isDisposed).toBe(true);
  });
  expect(text()).toBe('new');
});

describe('where others may write the cell too', () => {
  let mine: boolean;

  beforeEach(() => {
    vi.useFakeTimers();
    mine = true;
    mending.dispose();
    mending = new Mending(runs, cell, { patience: 5000, mine: () => mine });
    runs.written = { outputs: [stream('one\ntwo\n')], view: view(snapshot('Running')) };
    runs.tell({ kind: 'value', value: snapshot('Running', { stdout: 8 }) });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('gives them time', async () => {
    await vi.advanceTimersByTimeAsync(4900);
    expect(runs.reads).toBe(0);
    cell.outputs.fromJSON([stream('one\ntwo\n'), view(snapshot('Running'))]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(runs.reads).toBe(0);
  });

  it('writes what nobody has written', async () => {
    await vi.advanceTimersByTimeAsync(5100);
    expect(text()).toBe('one\ntwo\n');
  });

  it('leaves it to whose turn it is, until it is its own', async () => {
    mine = false;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(runs.reads).toBe(0);
    mine = true;
    await vi.advanceTimersByTimeAsync(5100);
    expect(text()).toBe('one\ntwo\n');
  });
});

const AS_IN_JUPYTERLAB = { disableDocumentWideUndoRedo: true };

/** The one cell of a document, on another page that has it too. */
function elsewhere(document: YNotebook): CodeCellModel {
  // eslint-disable-next-line jupyter/require-disposable-ownership -- its cell needs it
  const other = new YNotebook(AS_IN_JUPYTERLAB);
  applyUpdate(other.ydoc, encodeStateAsUpdate(document.ydoc));
  document.ydoc.on('update', update => {
    setTimeout(() => {
      applyUpdate(other.ydoc, update);
    });
  });
  return new CodeCellModel({ sharedModel: other.cells[0] as YCodeCell });
}

describe('where other pages have the document too', () => {
  let there: CodeCellModel;
  const drawn = () => cell.outputs.toJSON();

  beforeEach(() => {
    vi.useFakeTimers();
    mending.dispose();
    const document = new YNotebook(AS_IN_JUPYTERLAB);
    const outputs = [stream('one\n'), view(snapshot('Running'))];
    document.addCell({ cell_type: 'code', source: '', outputs });
    cell = new CodeCellModel({ sharedModel: document.cells[0] as YCodeCell });
    there = elsewhere(document);
    mending = new Mending(runs, cell, { patience: 0, mine: () => true });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  async function write(phase: string, outputs: readonly IOutput[]): Promise<void> {
    runs.written = { outputs: [...outputs], view: view(snapshot(phase)) };
    runs.tell({ kind: 'value', value: snapshot(phase, { stdout: 99 }) });
    await vi.advanceTimersByTimeAsync(2500);
  }

  it('has all of them show the same', async () => {
    const image = { output_type: 'display_data', data: { 'text/plain': 'figure' }, metadata: {} };
    await write('Running', [stream('one\ntwo\n')]);
    expect(there.outputs.toJSON()).toEqual(drawn());
    await write('Running', [stream('one\ntwo\nthree\n')]);
    expect(there.outputs.toJSON()).toEqual(drawn());
    await write('Succeeded', [stream('one\ntwo\nthree\n'), image]);
    expect(there.outputs.toJSON()).toEqual(drawn());
    expect(drawn()).toHaveLength(3);
    expect(text()).toBe('one\ntwo\nthree\n');
    expect(runOf(there)?.snapshot.phase).toBe('Succeeded');
  });

  it('leaves on them what has not changed', async () => {
    await write('Running', [stream('one\ntwo\n')]);
    const before = there.outputs.get(0);
    await write('Running', [stream('one\ntwo\nthree\n')]);
    expect(there.outputs.get(0)).toBe(before);
    expect(there.outputs.get(1).toJSON()).toEqual(stream('one\ntwo\nthree\n'));
  });
});
