import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { ILogs } from '../models/logs';
import { TestRuns } from '../testing';
import type { Snapshot } from '../wire';
import { RunDocument } from './run';

const logs: ILogs = {
  page: (_workload, _run, cursor) =>
    Promise.resolve({
      cursor: 'x',
      pieces: cursor === '' ? [{ stream: 'stdout', text: 'a\n' }] : []
    }),
  file: (workload, run) => `/${workload}/${run}`
};

it('shows the live card and the log of a run, and leaves both when it goes', async () => {
  const runs = new TestRuns();
  const view = new RunDocument(runs, logs, 'abc', 'r');
  Widget.attach(view, document.body);
  expect([...runs.views.keys()]).toEqual(['abc/r']);
  const where = { backend: 'local' };
  const shown = { saved: 'full', phase: 'Running', word: 'Running', name: 'train' } as const;
  const found: Snapshot = { version: 1, id: 'abc', run: 'r', where, snapshot: shown };
  runs.views.get('abc/r')?.({ kind: 'value', value: found });
  expect(view.node.querySelector('.gpuw-Log a')?.getAttribute('href')).toBe('/abc/r');
  await vi.waitFor(
    () => {
      expect(view.node.textContent).toContain('1 line');
    },
    { timeout: 10_000 }
  );
  view.dispose();
  MessageLoop.flush();
  expect(runs.views.size).toBe(0);
});
