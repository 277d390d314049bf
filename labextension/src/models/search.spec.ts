import { CHUNK, LogLines } from './log';
import { LogSearch } from './search';

const ESC = '\u001b';

function found(lines: LogLines, query: string, exact = false): number[] {
  const search = new LogSearch(lines, query, exact);
  while (search.advance()) {
    // on to the end
  }
  return Array.from({ length: search.count }, (_, place) => search.line(place));
}

it('finds lines in all chunks, each once', () => {
  const lines = new LogLines();
  for (let number = 0; number < 3 * CHUNK; number++) {
    lines.append('stdout', number % CHUNK === 7 ? 'the loss, the LOSS\n' : 'step\n');
  }
  expect(found(lines, 'loss')).toEqual([7, CHUNK + 7, 2 * CHUNK + 7]);
  expect(found(lines, 'Loss', true)).toEqual([]);
  expect(found(lines, 'LOSS', true)).toHaveLength(3);
});

it.each(['a.b', '(x', '[', '\\', '$', '^a', 'a|b', '*', '-'])(
  'takes %j letter by letter',
  query => {
    const lines = new LogLines();
    lines.append('stdout', `none\nbefore ${query} after\naxb\n`);
    expect(found(lines, query)).toEqual([1]);
  }
);

it('finds what a colour divides, in the first line and the last', () => {
  const lines = new LogLines();
  lines.append('stdout', `er${ESC}[31mr${ESC}[0mor\nfine\n\n${ESC}[1merror`);
  lines.close();
  expect(found(lines, 'error')).toEqual([0, 3]);
});

it('goes on as lines come', () => {
  const lines = new LogLines();
  lines.append('stdout', 'hit\nhit on a line that is still wri');
  const search = new LogSearch(lines, 'hit', false);
  while (search.advance()) {
    // on to the end
  }
  expect(search.count).toBe(1);
  expect(search.done).toBe(true);
  lines.append('stdout', 'tten\n');
  expect(search.done).toBe(false);
  search.advance();
  expect(search.count).toBe(2);
});

it('knows the next and the one before', () => {
  const lines = new LogLines();
  lines.append('stdout', 'hit\n-\nhit\n-\nhit\n');
  const search = new LogSearch(lines, 'hit', false);
  search.advance();
  expect([0, 1, 2, 3, 4, 5].map(line => search.placeOf(line))).toEqual([0, 1, 1, 2, 2, 3]);
});
