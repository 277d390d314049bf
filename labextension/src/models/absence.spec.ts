import { row, TestRuns } from '../testing';
import type { Row } from '../wire';
import { Absence } from './absence';
import { inWords } from './since';

const job = (id: string, phase: Row['phase'] = 'Running') => row(id, { kind: 'job', phase });

let visible: DocumentVisibilityState;
let pages: Absence[];

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  visible = 'visible';
  pages = [];
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => visible);
});

afterEach(() => {
  pages.forEach(page => {
    page.dispose();
  });
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A page that is opened, and what it has told. */
function opened(...rows: Row[]): { runs: TestRuns; told: string[]; page: Absence } {
  const runs = new TestRuns();
  const page = new Absence(runs, localStorage, 'http://here/');
  const told: string[] = [];
  page.ended.connect((_, found) => told.push(inWords(found)));
  page.begin();
  runs.say(...rows);
  pages.push(page);
  return { runs, told, page };
}

function look(state: DocumentVisibilityState): void {
  visible = state;
  document.dispatchEvent(new Event('visibilitychange'));
}

it('tells what has ended since the page was left', async () => {
  const { page } = opened(job('a'), job('b'));
  window.dispatchEvent(new Event('pagehide'));
  page.dispose();
  const { told } = opened(job('a', 'Succeeded'), job('b', 'Failed'));
  await vi.runAllTimersAsync();
  expect(told).toEqual(['Since you left: 1 done, 1 failed']);
});

it('tells nothing of what somebody has seen to end', async () => {
  const { runs, page } = opened(job('a'));
  runs.say(job('a', 'Succeeded'));
  window.dispatchEvent(new Event('pagehide'));
  page.dispose();
  const { told } = opened(job('a', 'Succeeded'));
  await vi.runAllTimersAsync();
  expect(told).toEqual([]);
});

it.each([
  [4, []],
  [6, ['Since you left: 1 done']]
])('after %d minutes out of sight it tells %j', async (minutes, said) => {
  const { runs, told } = opened(job('a'));
  look('hidden');
  vi.advanceTimersByTime(60_000);
  runs.say(job('a', 'Succeeded'));
  vi.advanceTimersByTime((minutes - 1) * 60_000);
  look('visible');
  await vi.runAllTimersAsync();
  expect(told).toEqual(said);
});

it('asks how a run ended whose session is no more', async () => {
  const going = row('s', { runs: [{ id: 'r', phase: 'Running' }] });
  const { page } = opened(going);
  window.dispatchEvent(new Event('pagehide'));
  page.dispose();
  const { runs, told } = opened(row('s', { phase: 'Stopped' }));
  const shown = { saved: 'full', phase: 'Failed' } as const;
  const view = { version: 1, id: 's', run: 'r', where: { backend: 'local' }, snapshot: shown };
  runs.views.get('s/r')?.({ kind: 'value', value: view });
  await vi.runAllTimersAsync();
  expect(told).toEqual(['Since you left: 1 failed']);
  expect(runs.views.size).toBe(0);
});

it.each(['{', '{}', '[]', '{"at":"x","going":[]}', '{"at":1,"going":[2]}'])(
  'takes %s for nothing',
  async text => {
    localStorage.setItem('gpu-workbench:seen:http://here/', text);
    const { told } = opened(job('a', 'Succeeded'));
    await vi.runAllTimersAsync();
    expect(told).toEqual([]);
  }
);
