import { row, TestRuns } from '../testing';
import { RowView } from './row';

it('opens a run by its name, for its owner alone', () => {
  const runs = new TestRuns();
  const opened: string[] = [];
  const view = new RowView(runs, 'abc', (...run) => opened.push(run.join('/')));
  view.show(row('abc', { name: 'train' }));
  const name = () => view.node.querySelector<HTMLButtonElement>('.gpuw-Link:not([hidden])');
  name()?.click();
  expect(opened).toEqual(['abc//train']);
  runs.mayAct = false;
  view.show(row('abc', { name: 'train' }));
  expect(name()).toBeNull();
  expect(view.node.textContent).toContain('train');
});

it('keeps the focus of its name when it is drawn again', () => {
  const view = new RowView(new TestRuns(), 'abc', () => undefined);
  document.body.append(view.node);
  view.show(row('abc', { name: 'train' }));
  view.node.querySelector<HTMLButtonElement>('.gpuw-Link')?.focus();
  view.show(row('abc', { name: 'train', phase: 'Succeeded' }));
  expect(document.activeElement?.textContent).toBe('train');
  view.node.remove();
});
