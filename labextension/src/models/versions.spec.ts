import { difference, Versions } from './versions';
import type { Found } from './versions';

function found(page: string, server: string, kernel: string | null = null, wires = [1, 1]): Found {
  return {
    page: { version: page, wire: wires[0] ?? 1 },
    server: { version: server, wire: wires[1] ?? 1 },
    kernel
  };
}

const said = (versions: Found) => {
  const one = difference(versions);
  return one === null ? '' : `${one.what}. ${one.fix}`;
};

it.each([
  found('0.1.0', '0.1.0'),
  found('0.1.0', '0.1.3', '0.1.9'),
  found('0.1.0', '0.1.0', 'rubbish'),
  { page: { version: '0.1.0', wire: 1 }, server: null, kernel: null }
])('says nothing of versions that are alike: %o', versions => {
  expect(difference(versions)).toBeNull();
});

it.each<[Found, string]>([
  [
    found('0.1.0', '0.3.0'),
    'This page has gpu-workbench 0.1.0, its server 0.3.0. They work together. ' +
      'Reload the page to have the newer one in both'
  ],
  [
    found('0.10.0', '0.9.0'),
    'This page has gpu-workbench 0.10.0, its server 0.9.0. They work together. ' +
      'Restart the Jupyter server to have the newer one in both'
  ],
  [
    found('0.1.0', '0.3.0', '0.1.0', [1, 2]),
    'This page has gpu-workbench 0.1.0, its server 0.3.0. They do not understand each other. Reload the page'
  ],
  [
    found('0.3.0', '0.1.0', null, [2, 1]),
    'This page has gpu-workbench 0.3.0, its server 0.1.0. They do not understand each other. ' +
      'Restart the Jupyter server'
  ],
  [
    found('0.1.0', '0.1.0', '0.3.0'),
    "The notebook's kernel has gpu-workbench 0.3.0, this Jupyter server 0.1.0. What is new in it is not shown " +
      "here. Update the server's: `pip install --upgrade jupyter-gpu-workbench` in its environment, then restart it"
  ],
  [
    found('0.3.0', '0.3.0', '0.1.0'),
    "The notebook's kernel has gpu-workbench 0.1.0, this Jupyter server 0.3.0. They work together. " +
      "Update the kernel's: `%pip install --upgrade jupyter-gpu-workbench` in the notebook, then restart the kernel"
  ]
])('says what differs, whether it works, and what to do: %o', (versions, words) => {
  expect(said(versions)).toBe(words);
});

it('works with all but another wire', () => {
  expect(difference(found('0.1.0', '0.3.0', '0.2.0'))?.works).toBe(true);
  expect(difference(found('0.1.0', '0.1.0', null, [1, 2]))?.works).toBe(false);
});

it('tells of a change once', () => {
  const versions = new Versions();
  let changes = 0;
  versions.changed.connect(() => {
    changes += 1;
  });
  versions.saw('9.1.0');
  versions.saw('9.1.0');
  expect(changes).toBe(1);
  expect(versions.said).toContain('9.1.0');
});
