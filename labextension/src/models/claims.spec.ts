import { Claims } from './claims';

beforeEach(() => {
  localStorage.clear();
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

async function all(...asked: Promise<boolean>[]): Promise<boolean[]> {
  await vi.runAllTimersAsync();
  return Promise.all(asked);
}

const tab = (name: string, looked = true) => new Claims(localStorage, name, () => looked);

it('is granted to one tab of several that ask at once', async () => {
  const found = await all(...['a', 'b', 'c'].map(name => tab(name).mine('told')));
  expect(found.filter(Boolean)).toHaveLength(1);
});

it('is granted to the tab that somebody looks at', async () => {
  expect(await all(tab('a', false).mine('told'), tab('b').mine('told'))).toEqual([false, true]);
});

it('is granted once', async () => {
  expect(await all(tab('a').mine('told'))).toEqual([true]);
  expect(await all(tab('a').mine('told'), tab('b').mine('other'))).toEqual([false, true]);
});

it('does not pile up', async () => {
  await all(tab('a').mine('told'));
  vi.setSystemTime(Date.now() + 25 * 3600 * 1000);
  tab('b');
  expect(localStorage).toHaveLength(0);
});

it('is granted where a browser keeps nothing', async () => {
  const closed = {
    getItem: () => {
      throw new Error('no');
    }
  } as unknown as Storage;
  expect(await all(new Claims(closed, 'a', () => true).mine('told'))).toEqual([true]);
});
