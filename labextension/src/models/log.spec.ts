import { CHUNK, LogLines } from './log';

const RED = '\u001b[31m';
const OFF = '\u001b[0m';

let lines: LogLines;

beforeEach(() => {
  lines = new LogLines();
});

function text(number: number): string {
  return lines
    .line(number)
    .spans.map(span => span.text)
    .join('');
}

function all(): string[] {
  return Array.from({ length: lines.count }, (_, number) => text(number));
}

it('makes lines of pieces however they are cut', () => {
  const whole = 'one\ntwo\n\nfour\nlast';
  for (let cut = 0; cut <= whole.length; cut++) {
    lines = new LogLines();
    lines.append('stdout', whole.slice(0, cut));
    lines.append('stdout', whole.slice(cut));
    expect(all()).toEqual(['one', 'two', '', 'four', 'last']);
    expect(lines.closed).toBe(4);
  }
});

it('rewrites the line that a bar writes, and keeps only its end', () => {
  for (let step = 0; step <= 100; step++) {
    lines.append('stderr', `\rstep ${step} of 100`);
    expect(lines.count).toBe(1);
  }
  lines.append('stderr', '\n');
  expect(all()).toEqual(['step 100 of 100']);
  expect(lines.line(0).stream).toBe('stderr');
});

it('ends a line at the end of lines of another system', () => {
  lines.append('stdout', 'one\r\ntwo\r\n');
  expect(all()).toEqual(['one', 'two']);
});

it('begins a new line where another stream writes', () => {
  lines.append('stdout', 'half');
  lines.append('stderr', 'careful\n');
  lines.append('stdout', 'rest\n');
  lines.append('remark', 'The beginning is missing');
  expect(all()).toEqual(['half', 'careful', 'rest', 'The beginning is missing']);
  expect([0, 1, 2, 3].map(number => lines.line(number).stream)).toEqual([
    'stdout',
    'stderr',
    'stdout',
    'remark'
  ]);
});

it('has no empty line where a stream ends a line that another one has cut', () => {
  lines.append('stderr', 'a bar');
  lines.append('stdout', 'between\n');
  lines.append('stderr', '\nnext\n');
  lines.append('stderr', '\n');
  expect(all()).toEqual(['a bar', 'between', 'next', '']);
});

it('carries a colour from line to line, on its own stream alone', () => {
  lines.append('stdout', `${RED}red\nstill\n`);
  lines.append('stderr', 'plain\n');
  lines.append('stdout', `on${OFF} off\nplain\n`);
  expect(lines.line(1).spans).toEqual([{ style: '31', text: 'still' }]);
  expect(lines.line(2).spans).toEqual([{ style: '', text: 'plain' }]);
  expect(lines.line(3).spans).toEqual([
    { style: '31', text: 'on' },
    { style: '', text: ' off' }
  ]);
  expect(lines.line(4).spans).toEqual([{ style: '', text: 'plain' }]);
});

it('knows when a line was begun', () => {
  lines.append('stdout', 'a\nb\n', 10);
  lines.append('stdout', 'c\n', 12);
  expect([0, 1, 2].map(number => lines.time(number))).toEqual([10, 10, 12]);
  expect(new LogLines().time(0)).toBeNull();
});

it('gives the letters of a chunk for searching', () => {
  const many = Array.from({ length: CHUNK + 2 }, (_, number) => `${RED}line${OFF} ${number}`);
  lines.append('stdout', `${many.join('\n')}\n`);
  expect(lines.text(CHUNK)).toBe(`line ${CHUNK}\nline ${CHUNK + 1}`);
  expect(lines.text(CHUNK - 2)).toBe(`line ${CHUNK - 2}\nline ${CHUNK - 1}`);
});

it('lets the oldest lines go where there is too much, and the others keep their numbers', () => {
  lines = new LogLines(3 * CHUNK * 10);
  for (let number = 0; number < 10 * CHUNK; number++) {
    lines.append('stdout', `${String(number).padStart(9, '0')}\n`);
  }
  expect(lines.count).toBe(10 * CHUNK);
  expect(lines.first).toBeGreaterThan(5 * CHUNK);
  expect(text(lines.first)).toBe(String(lines.first).padStart(9, '0'));
  expect(text(10 * CHUNK - 1)).toBe(String(10 * CHUNK - 1).padStart(9, '0'));
});

it('takes a million lines in well under a second a hundred thousand, and finds each', () => {
  const began = performance.now();
  for (let page = 0; page < 100; page++) {
    let piece = '';
    for (let number = 0; number < 10_000; number++) {
      piece += `line ${page * 10_000 + number}\n`;
    }
    lines.append('stdout', piece);
  }
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(lines.count).toBe(1_000_000);
  for (const number of [0, 4095, 4096, 777_777, 999_999]) {
    expect(text(number)).toBe(`line ${number}`);
  }
});
