import { DisposableDelegate } from '@lumino/disposable';

import type { Known, Listener } from '../tokens';
import type { Capacity, CapacityState, GpuKind } from '../wire';
import { CapacityView } from './capacity';

type States = ReadonlyMap<string, CapacityState>;

/** The server's word on capacity, as the test says it. */
class Said {
  asked: string[] = [];
  listener: Listener<States> | null = null;

  followCapacity(listener: Listener<States>): DisposableDelegate {
    this.asked.push('follow');
    this.listener = listener;
    listener({ kind: 'waiting' });
    return new DisposableDelegate(() => {
      this.asked.push('leave');
    });
  }

  say(...states: CapacityState[]): void {
    const known: Known<States> = {
      kind: 'value',
      value: new Map(states.map(state => [state.name, state]))
    };
    this.listener?.(known);
  }

  /** A cluster with these members. */
  cluster(members: Capacity): void {
    this.say({ name: 'kubernetes', capacity: { namespace: 'team-a', ...members } });
  }
}

const H200: GpuKind = {
  name: 'H200 141 GiB',
  resource: 'nvidia.com/gpu',
  total: 32,
  mine: 16,
  others: 12,
  free: 4
};

let said: Said;
let view: CapacityView;

beforeEach(() => {
  said = new Said();
  view = new CapacityView(said);
  document.body.append(view.node);
  view.shown = true;
});

afterEach(() => {
  view.dispose();
  view.node.remove();
});

const fold = () => view.node.querySelector('button') as unknown as HTMLButtonElement;
const uses = () =>
  [...view.node.querySelectorAll<HTMLElement>('.gpuw-Squares .gpuw-Square')].map(
    node => node.dataset.use
  );
const of = (use: string) => uses().filter(one => one === use).length;
const notes = () =>
  [...view.node.querySelectorAll('.gpuw-CapacityNote')].map(node => node.textContent);

it('is asked for while it is shown and unfolded', () => {
  expect(said.asked).toEqual(['follow']);
  fold().click();
  expect(said.asked).toEqual(['follow', 'leave']);
  expect(fold().getAttribute('aria-expanded')).toBe('false');
  view.shown = false;
  view.shown = true;
  expect(said.asked).toEqual(['follow', 'leave']);
  fold().click();
  expect(said.asked).toEqual(['follow', 'leave', 'follow']);
  view.shown = false;
  expect(said.asked).toEqual(['follow', 'leave', 'follow', 'leave']);
});

it('keeps the count before, marked as such, until there is the next', () => {
  said.cluster({ kinds: [H200] });
  const body = view.node.querySelector('.gpuw-CapacityBody');
  view.shown = false;
  view.shown = true;
  said.say(); // as the server begins, before it has counted
  expect(view.node.textContent).toContain('4 of 32 free');
  expect(body?.getAttribute('aria-busy')).toBe('true');
  said.cluster({ kinds: [{ ...H200, others: 13, free: 3 }] });
  expect(view.node.textContent).toContain('3 of 32 free');
  expect(body?.getAttribute('aria-busy')).toBe('false');
});

it('shows each GPU as mine, of others or free, in words too', () => {
  said.cluster({ kinds: [H200] });
  expect(fold().textContent).toBe('Capacity · team-a');
  expect(view.node.textContent).toContain('H200 141 GiB4 of 32 free');
  expect([of('mine'), of('others'), of('free')]).toEqual([16, 12, 4]);
  const picture = view.node.querySelector('[role=img]');
  expect(picture?.getAttribute('aria-label')).toBe(
    'H200 141 GiB: 16 mine, 12 others, 4 free of 32'
  );
});

it('shows more than 64 of a kind as one bar in proportion', () => {
  said.cluster({ kinds: [{ ...H200, total: 65, mine: 1, others: 60, free: 4 }] });
  const parts = [...view.node.querySelectorAll<HTMLElement>('.gpuw-Proportion .gpuw-Square')];
  expect(parts.map(part => [part.dataset.use, part.style.flexGrow])).toEqual([
    ['mine', '1'],
    ['others', '60'],
    ['free', '4']
  ]);
  said.cluster({ kinds: [{ ...H200, total: 64, mine: 0, others: 60, free: 4 }] });
  expect(uses()).toHaveLength(64);
});

it('leaves open what cannot be seen, and names the right that is missing', () => {
  said.cluster({
    kinds: [{ name: 'H200', resource: 'nvidia.com/gpu', total: 4, mine: 1 }],
    waiting: [{ name: 'GPUs', mine: 2 }],
    unseen: [
      { verb: 'list', resource: 'pods' },
      { verb: 'list', resource: 'resourcequotas', namespace: 'team-a' }
    ]
  });
  expect(view.node.textContent).toContain('n/a of 4 free');
  expect([of('mine'), of('unknown'), of('free')]).toEqual([1, 3, 0]);
  expect(notes()).toEqual([
    '2 GPUs queued by you; by others n/a',
    'What others hold is not visible to you: you may not list pods in all namespaces',
    'The quota is not visible to you: you may not list resourcequotas in namespace team-a'
  ]);
});

it('shows what pods hold where nodes cannot be seen', () => {
  said.cluster({
    kinds: [{ name: 'nvidia.com/gpu', resource: 'nvidia.com/gpu', mine: 2, others: 3 }],
    unseen: [{ verb: 'list', resource: 'nodes' }]
  });
  expect(view.node.textContent).toContain('2 mine, 3 others');
  expect(uses()).toEqual([]);
  expect(notes()).toEqual(['Which GPUs there are is not visible to you: you may not list nodes']);
});

it('says what waits, my place, the quota, and what is starting or closed', () => {
  said.cluster({
    kinds: [{ ...H200, closed: 8 }],
    starting: 2,
    waiting: [
      { name: 'GPUs', mine: 8, others: 4 },
      { name: 'MIG 1g.18gb', mine: 0, others: 1 }
    ],
    places: ['number 2 in queue team-a'],
    quotas: [{ name: 'team', resource: 'nvidia.com/gpu', hard: 32, used: 28 }]
  });
  expect(view.node.querySelector('.gpuw-Legend')?.textContent).toBe(
    'mineothersfree2 nodes starting'
  );
  expect(notes()).toEqual([
    '8 more on nodes that take no pods now',
    '12 GPUs queued, 8 of them by you',
    '1 MIG 1g.18gb queued',
    'Yours: number 2 in queue team-a',
    'Quota team: 28 of 32 nvidia.com/gpu used'
  ]);
});

it('marks doubles', () => {
  said.cluster({ kinds: [{ ...H200, simulated: true }] });
  expect(view.node.querySelector('.gpuw-Tag')?.textContent).toBe('SIMULATED');
});

it('says that a machine has no GPU, unless there is a cluster', () => {
  said.say({ name: 'local', capacity: {} });
  expect(fold().textContent).toBe('Capacity · local');
  expect(notes()).toEqual(['No GPU is visible on this machine']);
  said.say(
    { name: 'local', capacity: {} },
    { name: 'kubernetes', capacity: { namespace: 'team-a' } }
  );
  expect(fold().textContent).toBe('Capacity · team-a');
  expect(notes()).toEqual(['No GPU in this cluster']);
});

it('has a heading for each place where there are several', () => {
  const here = { name: 'local', capacity: { kinds: [H200] } };
  said.say(here, { name: 'kubernetes', error: 'The cluster is away' });
  const headings = [...view.node.querySelectorAll('h4')].map(node => node.textContent);
  expect(headings).toEqual(['local', 'kubernetes']);
  expect(view.node.textContent).toContain('The cluster is away');
});

it('shows names as text', () => {
  const bad = '<img src=x onerror=alert(1)>';
  said.say({
    name: 'kubernetes',
    capacity: {
      namespace: bad,
      kinds: [{ ...H200, name: bad, resource: bad }],
      waiting: [{ name: bad, mine: 1, others: 0 }],
      places: [bad],
      quotas: [{ name: bad, resource: bad, hard: 1 }],
      unseen: [{ verb: bad, resource: bad, namespace: bad }]
    }
  });
  expect(view.node.querySelector('img, script')).toBeNull();
  expect(view.node.textContent).toContain(bad);
});
