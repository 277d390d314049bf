import { TestRuns } from '../testing';
import type { LogPage, Snapshot } from '../wire';
import { LogFeed } from './feed';
import { LogLines } from './log';
import type { ILogs } from './logs';

/** Gives the pages that the test writes, and notes from where it was asked. */
class Written implements ILogs {
  readonly asked: string[] = [];
  readonly pages = new Map<string, LogPage | Error>();

  page(_workload: string, _run: string, cursor: string): Promise<LogPage> {
    this.asked.push(cursor);
    const page = this.pages.get(cursor) ?? { cursor };
    return page instanceof Error ? Promise.reject(page) : Promise.resolve(page);
  }

  file(): string {
    return '/file';
  }
}

function page(cursor: string, text: string, members: Partial<LogPage> = {}): LogPage {
  return { cursor, pieces: [{ stream: 'stdout', text }], ...members };
}

function snapshot(phase: string, stdout: number): Snapshot {
  const shown = { saved: 'full', phase, characters: { stdout } };
  return {
    version: 1,
    id: 'w',
    run: 'r',
    where: { backend: 'local' },
    snapshot: shown
  } as Snapshot;
}

let logs: Written;
let runs: TestRuns;
let lines: LogLines;
let feed: LogFeed;

beforeEach(() => {
  logs = new Written();
  runs = new TestRuns();
  lines = new LogLines();
  feed = new LogFeed(logs, runs, 'w', 'r', lines);
});

afterEach(() => {
  feed.dispose();
});

function say(found: Snapshot): void {
  runs.views.get('w/r')?.({ kind: 'value', value: found });
}

function all(): string[] {
  return Array.from({ length: lines.count }, (_, number) =>
    lines
      .line(number)
      .spans.map(span => span.text)
      .join('')
  );
}

it('reads page after page, then waits until the run has written more', async () => {
  logs.pages.set('', page('1', 'a\n', { more: true }));
  logs.pages.set('1', page('2', 'b\n'));
  feed.start();
  await vi.waitFor(() => {
    expect(all()).toEqual(['a', 'b']);
  });
  expect(feed.reading).toBe(false);
  logs.pages.set('2', page('3', 'c\n'));
  say(snapshot('Running', 6));
  await vi.waitFor(() => {
    expect(all()).toEqual(['a', 'b', 'c']);
  });
  const asked = logs.asked.length;
  say(snapshot('Running', 6)); // nothing was written
  await Promise.resolve();
  expect(logs.asked).toHaveLength(asked);
});

it('reads to the end of a run that has ended, and then no more', async () => {
  logs.pages.set('', page('1', 'half'));
  feed.start();
  say(snapshot('Succeeded', 4));
  await vi.waitFor(() => {
    expect(feed.over).toBe(true);
  });
  expect(lines.closed).toBe(1);
  expect(runs.views.size).toBe(0);
});

it('ends where the server says that nothing more will come', async () => {
  logs.pages.set('', page('1', 'a\n', { end: true }));
  feed.start();
  await vi.waitFor(() => {
    expect(feed.over).toBe(true);
  });
});

it('says why there is nothing, and why it cannot be read, and goes on from where it was', async () => {
  logs.pages.set('', { cursor: '', why: 'The image cannot be pulled' });
  feed.start();
  await vi.waitFor(() => {
    expect(feed.why).toBe('The image cannot be pulled');
  });
  logs.pages.set('', new Error('The server does not answer'));
  say(snapshot('Running', 1));
  await vi.waitFor(() => {
    expect([feed.why, feed.failed]).toEqual(['The server does not answer', true]);
  });
  logs.pages.set('', page('1', 'a\n'));
  say(snapshot('Running', 2));
  await vi.waitFor(() => {
    expect([all(), feed.failed]).toEqual([['a'], false]);
  });
});

it('reads nothing while it is not on the screen, and what it missed afterwards', async () => {
  logs.pages.set('', page('1', 'a\n'));
  feed.start();
  await vi.waitFor(() => {
    expect(all()).toEqual(['a']);
  });
  feed.stop();
  expect(runs.views.size).toBe(0);
  logs.pages.set('1', page('2', 'b\n'));
  feed.start();
  await vi.waitFor(() => {
    expect(all()).toEqual(['a', 'b']);
  });
});
