import { gpuSource, loads } from './magic';

it.each(['x = 1', '\n\nx = 1', '# %%time\nx', '%matplotlib inline\nx', '!ls', '%timeit x'])(
  'puts the magic above %j',
  source => {
    expect(gpuSource(source)).toEqual({ kind: 'ready', source: `%%gpu\n${source}` });
  }
);

it.each(['%%gpu\nx', '%%gpu --gpus 8\nx', '\n%%gpu\nx', '%%gpu'])('leaves %j as it is', source => {
  expect(gpuSource(source)).toEqual({ kind: 'ready', source });
});

it.each([
  ['', 'empty'],
  ['  \n', 'empty'],
  ['%%time\nx', '%%time'],
  ['%%bash -s\nls', '%%bash'],
  ['%%gpus\nx', '%%gpus'],
  ['%gpu ls', 'as it is'],
  ['%load_ext gpu_workbench\nx', 'as it is']
])('refuses %j and says why', (source, why) => {
  const found = gpuSource(source);
  expect(found.kind === 'refused' && found.why).toContain(why);
});

it('knows what loads the magics', () => {
  expect(loads(['import os', 'import torch\n%load_ext gpu_workbench'])).toBe(true);
  expect(loads(['%reload_ext gpu_workbench'])).toBe(true);
  expect(loads(['# %load_ext gpu_workbench', '%load_ext gpu_workbench_other', ''])).toBe(false);
});
