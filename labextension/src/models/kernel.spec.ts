import type { Kernel } from '@jupyterlab/services';

import { load, readiness } from './kernel';

interface Asked {
  silent: boolean;
  store_history: boolean;
  user_expressions: Record<string, string>;
}

/** A kernel that answers each expression by its first match; without one it fails. */
function kernel(answers: readonly (readonly [string, string])[], language = 'python') {
  const asked: Asked[] = [];
  const answer = (expression: string) => {
    const found = answers.find(([part]) => expression.includes(part));
    return found === undefined
      ? { status: 'error', ename: 'NameError' }
      : { status: 'ok', data: { 'text/plain': found[1] }, metadata: {} };
  };
  const made = {
    info: Promise.resolve({ language_info: { name: language } }),
    requestExecute: (request: Asked) => {
      asked.push(request);
      const expressions = Object.entries(request.user_expressions);
      const found = Object.fromEntries(expressions.map(([name, text]) => [name, answer(text)]));
      return { done: Promise.resolve({ content: { status: 'ok', user_expressions: found } }) };
    }
  };
  return { asked, made: made as unknown as Kernel.IKernelConnection };
}

it.each([
  [
    [
      ['.loaded', 'True'],
      ['find_spec', 'True']
    ],
    'loaded'
  ],
  [
    [
      ['.loaded', 'False'],
      ['find_spec', 'True']
    ],
    'there'
  ],
  [
    [
      ['.loaded', 'False'],
      ['find_spec', 'False']
    ],
    'missing'
  ],
  [[['.loaded', 'False']], 'missing'],
  [[], 'missing']
] as const)('knows from %j that the package is %s', async (answers, found) => {
  expect(await readiness(kernel(answers).made)).toBe(found);
});

it('asks no kernel of another language', async () => {
  const { asked, made } = kernel([], 'R');
  expect(await readiness(made)).toBe('no-python');
  expect(asked).toEqual([]);
});

it('leaves no trace in a kernel', async () => {
  const { asked, made } = kernel([]);
  await readiness(made);
  await load(made);
  expect(asked.map(one => [one.silent, one.store_history])).toEqual([
    [true, false],
    [true, false]
  ]);
});
