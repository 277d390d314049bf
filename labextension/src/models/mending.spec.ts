import { CodeCellModel } from '@jupyterlab/cells';
import { isStream } from '@jupyterlab/nbformat';
import type { IOutput } from '@jupyterlab/nbformat';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';

import { TestRuns } from '../testing';
import type { Known, Listener, Written } from '../tokens';
import type { Snapshot } from '../wire';
import { charactersOf, runOf } from './cell';
import { lacks, Mending } from './mending';
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
    return this.written === null
      ? Promise.reject(new Error('It is not there'))
      : Promise.resolve(this.written);
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

it('leaves what stands there where the journal cannot be had', async () => {
  runs.tell({ kind: 'value', value: snapshot('Succeeded', { stdout: 8 }) });
  await vi.waitFor(() => {
    expect(mending.isDisposed).toBe(true);
  });
  expect(text()).toBe('one\n');
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
