import { settle } from '../models/terminal';
import { nodesOf } from './ansi';

const ESC = '\u001b';

function drawn(line: string, pattern: RegExp | null = null): HTMLElement {
  const node = document.createElement('div');
  node.append(...nodesOf(settle(line, ''), pattern));
  return node;
}

it.each([
  ['31', 'ansi-red-fg'],
  ['1;31', 'ansi-red-fg ansi-bold'],
  ['91', 'ansi-red-intense-fg'],
  ['44', 'ansi-blue-bg'],
  ['4', 'ansi-underline'],
  ['2;3;9', 'gpuw-mod-dim gpuw-mod-italic gpuw-mod-strikethrough'],
  ['7', 'ansi-default-inverse-fg ansi-default-inverse-bg'],
  ['7;31', 'ansi-default-inverse-fg ansi-red-bg'],
  ['38;5;9', 'ansi-red-intense-fg']
])('draws %s with %s', (style, className) => {
  const span = drawn(`${ESC}[${style}mtext`).querySelector('span');
  expect(span?.className).toBe(className);
  expect(span?.textContent).toBe('text');
});

it.each([
  ['38;5;208', 'rgb(255, 135, 0)'],
  ['38;5;240', 'rgb(88, 88, 88)'],
  ['38;2;1;2;3', 'rgb(1, 2, 3)']
])('draws %s in its own colour', (style, colour) => {
  expect(drawn(`${ESC}[${style}mtext`).querySelector('span')?.style.color).toBe(colour);
});

it('gives each part its own look', () => {
  const spans = [...drawn(`${ESC}[31ma${ESC}[1mb${ESC}[22mc${ESC}[0md`).childNodes];
  expect(spans.map(node => (node instanceof Element ? node.className : ''))).toEqual([
    'ansi-red-fg',
    'ansi-red-fg ansi-bold',
    'ansi-red-fg',
    ''
  ]);
});

it('marks what was looked for, also where a colour divides it', () => {
  const node = drawn(`an er${ESC}[31mr${ESC}[0mor, an error`, /error/gi);
  expect([...node.querySelectorAll('mark')].map(mark => mark.textContent)).toEqual([
    'error',
    'error'
  ]);
  expect(node.querySelector('mark .ansi-red-fg')?.textContent).toBe('r');
  expect(node.textContent).toBe('an error, an error');
});

it.each([
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  `${ESC}[31m<b>${ESC}[0m</b>`
])('shows %j as text', line => {
  const node = drawn(line, /s/g);
  expect(node.querySelector('img, script, b')).toBeNull();
});
