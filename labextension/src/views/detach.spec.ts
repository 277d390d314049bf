import { TestRuns } from '../testing';
import type { Shown } from '../wire';
import { RunView } from './output';
import type { Detach } from './output';

let asked: string[];
let view: RunView;

beforeEach(() => {
  asked = [];
});

afterEach(() => {
  view.dispose();
});

const detach: Detach = (workload, run) => asked.push(`${workload}/${run}`);

/** The buttons of a run's view. */
function buttons(
  shown: Partial<Shown>,
  { run = 'r', mayAct = true, inNotebook = true } = {}
): HTMLButtonElement[] {
  const runs = new TestRuns();
  runs.mayAct = mayAct;
  view = new RunView(runs, null, [], inNotebook ? detach : null);
  view.follow('abc', run);
  const snapshot: Shown = { saved: 'full', phase: 'Queued', word: 'Queued', ...shown };
  runs.views.get(`abc/${run}`)?.({
    kind: 'value',
    value: { version: 1, id: 'abc', run, where: { backend: 'local' }, snapshot }
  });
  return [...view.node.querySelectorAll<HTMLButtonElement>('.gpuw-Buttons button')];
}

it.each(['Queued', 'Pending', 'Starting'] as const)('is offered of a cell that is %s', phase => {
  const [first] = buttons({ phase });
  expect(first?.textContent).toBe('Detach');
  first?.click();
  expect(asked).toEqual(['abc/r']);
});

it.each([
  ['a cell that runs', { phase: 'Running' }, {}],
  ['a run of its own', { kind: 'job' }, {}],
  ['a session', {}, { run: '' }],
  ['what is not in a notebook', {}, { inNotebook: false }],
  ['what a guest looks at', {}, { mayAct: false }]
] as const)('is not offered of %s', (_, shown, seen) => {
  expect(buttons(shown, seen).map(button => button.textContent)).not.toContain('Detach');
});
