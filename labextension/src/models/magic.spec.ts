import { detachedSource, gpuSource, loads } from './magic';

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

it.each([
  ['%%gpu\nx', '%%gpu --detach\nx'],
  ['\n%%gpu --gpus 8 --out x\nx', '\n%%gpu --detach --gpus 8 --out x\nx'],
  ["%%gpu --env 'A=1 --session b'\nx", "%%gpu --detach --env 'A=1 --session b'\nx"],
  ['%%gpu\n# --session\n%%gpu', '%%gpu --detach\n# --session\n%%gpu']
])('detaches %j', (source, detached) => {
  expect(detachedSource(source)).toEqual({ kind: 'ready', source: detached });
});

it.each([
  ['%%gpu --session a\nx', '--session'],
  ['%%gpu --gpus 1 --session=a\nx', '--session'],
  ['%%gpu --idle-limit 2h\nx', '--idle-limit'],
  ['%%gpu --detach\nx', 'already'],
  ['x = 1', '%%gpu'],
  ['%%gpus\nx', '%%gpu'],
  ['', '%%gpu']
])('does not detach %j and says why', (source, why) => {
  const found = detachedSource(source);
  expect(found.kind === 'refused' && found.why).toContain(why);
});
