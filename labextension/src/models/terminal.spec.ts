import { compact, plain, settle, styleAfter, styled, written } from './terminal';

const ESC = '\u001b';
const RED = `${ESC}[31m`;
const OFF = `${ESC}[0m`;

/** What is to be read of a line in the end. */
function read(line: string): string {
  return settle(line, '')
    .map(span => span.text)
    .join('');
}

it.each([
  ['plain', 'plain'],
  ['10%\r20%', '20%'],
  ['a long bar\rshort', 'short bar'.replace('short bar', 'shortg bar')],
  [`a long bar\r${ESC}[Kshort`, 'short'],
  [`a long bar\r${ESC}[2Kshort`, 'short'],
  ['12\b3', '13'],
  ['\b\b\bx', 'x'],
  ['done\r', 'done'],
  ['a\tb', 'a\tb'],
  ['bell\u0007 nul\u0000', 'bell nul'],
  [`${ESC}]0;title\u0007text`, 'text'],
  [`${ESC}[2Aup`, 'up'],
  ['🙂\rx', 'x']
])('a terminal makes of %j %j', (line, text) => {
  expect(read(line)).toBe(text);
});

it('gives each part its style, also where it is rewritten', () => {
  expect(settle(`a${RED}b${OFF}c`, '')).toEqual([
    { style: '', text: 'a' },
    { style: '31', text: 'b' },
    { style: '', text: 'c' }
  ]);
  expect(settle(`${RED}red${OFF}\rX`, '')).toEqual([
    { style: '', text: 'X' },
    { style: '31', text: 'ed' }
  ]);
});

it.each([
  ['', '31', '31'],
  ['31', '1', '1;31'],
  ['1;31', '0', ''],
  ['1;31', '', ''],
  ['31', '32', '32'],
  ['1;31', '22', '31'],
  ['31;44', '39', '44'],
  ['', '38;5;208', '38;5;208'],
  ['1', '48;2;1;2;3', '1;48;2;1;2;3'],
  ['38;5;1', '4', '4;38;5;1'],
  ['31', '97', '97']
])('%j and then %j is %j', (style, parameters, after) => {
  expect(styled(style, parameters)).toBe(after);
});

it('carries a style over to the next line', () => {
  expect(styleAfter(`${RED}begins`, '')).toBe('31');
  expect(styleAfter(`ends${OFF} here`, '31')).toBe('');
  expect(styleAfter('nothing', '1;31')).toBe('1;31');
});

it('keeps a bar that is written ten thousand times as short as its line', () => {
  let line = '';
  for (let step = 0; step <= 10_000; step++) {
    line = compact(`${line}\r${step} of 10000 ${'#'.repeat(step % 20)}${' '.repeat(20)}`, '');
    expect(line.length).toBeLessThan(200);
  }
  expect(read(line).trim()).toBe('10000 of 10000');
});

it('means the same after it was made compact', () => {
  for (const line of ['a\rb\rc', 'long line\r12\r3', `${RED}r\rg${OFF}\rb`, 'x\r', 'x\r\r', '\r']) {
    expect(settle(compact(line, ''), '')).toEqual(settle(line, ''));
    expect(settle(`${compact(line, '')}Z`, '')).toEqual(settle(`${line}Z`, ''));
    expect(settle(written(settle(line, '32'), '32'), '32')).toEqual(settle(line, '32'));
  }
});

it('leaves the letters where only they are asked for', () => {
  expect(plain(`a${RED}b${OFF}\nc${ESC}[1;38;5;3md\u0000`)).toBe('ab\ncd');
});
