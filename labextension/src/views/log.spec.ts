import { Signal } from '@lumino/signaling';

import type { LogFeed } from '../models/feed';
import { LogLines } from '../models/log';
import { LogView } from './log';

const ESC = '\u001b';
const HEIGHT = 180;

/** A feed that says what the test wants. */
class Said {
  readonly changed = new Signal<this, void>(this);
  reading = false;
  over = false;
  failed = false;
  why = '';
}

let lines: LogLines;
let feed: Said;
let view: LogView;

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(HEIGHT);
  vi.spyOn(window, 'requestAnimationFrame').mockImplementation(draw => {
    queueMicrotask(() => {
      draw(0);
    });
    return 1;
  });
  lines = new LogLines();
  feed = new Said();
  view = new LogView(lines, feed as unknown as LogFeed, '/file');
  document.body.append(view.node);
});

afterEach(() => {
  view.dispose();
  view.node.remove();
  vi.restoreAllMocks();
});

async function write(text: string, stream = 'stdout'): Promise<void> {
  lines.append(stream, text);
  feed.changed.emit();
  await drawn();
}

async function drawn(): Promise<void> {
  await Promise.resolve();
  await Promise.resolve();
}

function find(query: string): HTMLElement {
  const found = view.node.querySelector<HTMLElement>(query);
  if (found === null) {
    throw new Error(`There is no ${query}`);
  }
  return found;
}

function button(name: string): HTMLButtonElement {
  const found = [...view.node.querySelectorAll('button')].find(
    one => (one.getAttribute('aria-label') ?? one.textContent) === name
  );
  if (found === undefined) {
    throw new Error(`There is no button ${name}`);
  }
  return found;
}

const rows = () => [...view.node.querySelectorAll<HTMLElement>('.gpuw-LogRow')];
const texts = () => rows().map(row => row.textContent);
const many = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}\n`).join('');

async function scrollTo(top: number): Promise<void> {
  const scroller = find('.gpuw-LogScroller');
  scroller.scrollTop = top;
  scroller.dispatchEvent(new Event('scroll'));
  await drawn();
}

async function look(query: string): Promise<void> {
  const search = find('input[type=search]') as HTMLInputElement;
  search.value = query;
  search.dispatchEvent(new Event('input'));
  await drawn();
}

it('draws the lines that are seen, the last ones first, and follows', async () => {
  await write(many(100_000));
  expect(rows().length).toBeLessThan(15);
  expect(texts().at(-1)).toBe('line 99999');
  await write('one more\n');
  expect(texts().at(-1)).toBe('one more');
  expect(view.node.textContent).toContain('100,001 lines');
});

it('lets go when one scrolls up, and follows again at the end', async () => {
  await write(many(1000));
  await scrollTo(500 * 18);
  expect(texts()[0]).toBe('line 500');
  expect(button('Follow').getAttribute('aria-pressed')).toBe('false');
  const row = rows()[3];
  await write(many(10));
  expect(texts()[0]).toBe('line 500');
  expect(rows()[3]).toBe(row); // a selection in it stays
  button('Follow').click();
  await drawn();
  expect(texts().at(-1)).toBe('line 9');
});

it('goes on following where there is more room', async () => {
  await write(many(1000));
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(2 * HEIGHT);
  await scrollTo(1000 * 18 - 2 * HEIGHT); // as the browser does, which has nothing below
  expect(button('Follow').getAttribute('aria-pressed')).toBe('true');
  await write('one more\n');
  expect(texts().at(-1)).toBe('one more');
});

it('draws a line that is still written anew', async () => {
  await write('\r10%', 'stderr');
  await write('\r20%', 'stderr');
  expect(texts()).toEqual(['20%']);
  expect(rows()[0]?.dataset.stream).toBe('stderr');
  expect(rows()[0]?.title).toContain('stderr');
});

it('goes to what is looked for, on and back, and says where it is', async () => {
  await write(many(1000));
  button('Follow').click();
  await scrollTo(0);
  await look('line 77');
  const said = () => find('[role=status]').textContent;
  expect(said()).toBe('1 of 11 lines');
  expect(find('.gpuw-mod-current').textContent).toBe('line 77');
  expect(find('.gpuw-mod-current mark').textContent).toBe('line 77');
  button('Next hit').click();
  await drawn();
  expect(find('.gpuw-mod-current').textContent).toBe('line 770');
  button('Previous hit').click();
  button('Previous hit').click();
  await drawn();
  expect(find('.gpuw-mod-current').textContent).toBe('line 779');
  await look('LINE 5');
  button('Match case').click();
  await drawn();
  expect(said()).toBe('not found');
  expect(button('Next hit').disabled).toBe(true);
});

it('has its keys', async () => {
  await write(many(1000));
  const press = async (target: Element, key: string, more: KeyboardEventInit = {}) => {
    target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, ...more }));
    await drawn();
  };
  const scroller = find('.gpuw-LogScroller');
  await press(scroller, 'Home');
  expect(texts()[0]).toBe('line 0');
  await press(scroller, 'End');
  expect(texts().at(-1)).toBe('line 999');
  await press(scroller, 'f', { ctrlKey: true });
  const search = find('input');
  expect(document.activeElement).toBe(search);
  await look('line 5');
  await press(search, 'Enter');
  expect(find('.gpuw-mod-current').textContent).toBe('line 50');
  await press(search, 'Enter', { shiftKey: true });
  expect(find('.gpuw-mod-current').textContent).toBe('line 5');
});

it('says why there is nothing to be seen', async () => {
  feed.why = 'The image cannot be pulled';
  feed.changed.emit();
  await drawn();
  expect(view.node.textContent).toContain('The image cannot be pulled');
  feed.why = '';
  feed.over = true;
  feed.changed.emit();
  await drawn();
  expect(view.node.textContent).toContain('Nothing was written');
});

it.each(['<img src=x onerror=alert(1)>', `${ESC}[31m<script>alert(1)</script>`])(
  'shows %j as text',
  async bad => {
    await write(`${bad}\n`);
    await look('alert');
    expect(view.node.querySelector('img, script')).toBeNull();
    expect(texts()[0]).toContain('alert(1)');
  }
);

it('draws as much of an endless line as can be read', async () => {
  await write(`${'x'.repeat(1_000_000)}\n`);
  expect(texts()[0]?.length).toBeLessThan(11_000);
  expect(texts()[0]).toContain('990,000 characters more');
});

it('does not read out what is written', () => {
  expect(find('[role=log]').getAttribute('aria-live')).toBe('off');
});

it('gives all of it as a file', () => {
  expect(find('a[download]').getAttribute('href')).toBe('/file');
});
