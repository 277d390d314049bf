/**
 * What a terminal makes of one line: colours, and text that rewrites what stood there.
 *
 * A style is the parameters of "Select Graphic Rendition" that would bring it about, e.g. `1;31`; empty where there is none.
 * Source: ECMA-48, and the colours of 256 and of 24 bits as xterm has them.
 */

const ESC = '\u001b';
const SEQUENCE = new RegExp(
  `${ESC}(?:\\[([0-?]*)[ -/]*([@-~])|\\][^\u0007${ESC}]*(?:\u0007|${ESC}\\\\)|[@-Z\\\\^_])`,
  'y'
);

const NO_LETTERS = '\u0000-\u0008\u000b-\u001f\u007f';

/** Whether there is more in a text than letters, tabs and line breaks. */
export const CONTROL = new RegExp(`[${NO_LETTERS}]`);

const CONTROLS = new RegExp(`[${NO_LETTERS}]`, 'g');

/** Text in one style. */
export interface Span {
  readonly style: string;
  readonly text: string;
}

/** The style after more parameters: `0` or nothing ends all of them. */
export function styled(style: string, parameters: string): string {
  const on = new Set<number>();
  let [ink, ground] = ['', ''];
  for (const one of attributes(style === '' ? parameters : `${style};${parameters}`)) {
    const code = Number.parseInt(one, 10) || 0;
    if (code === 0) {
      on.clear();
      [ink, ground] = ['', ''];
    } else if (code < 10) {
      on.add(code);
    } else if (code === 22) {
      on.delete(1);
      on.delete(2);
    } else if (code > 22 && code < 30) {
      on.delete(code - 20);
    } else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      ink = code === 39 ? '' : one;
    } else if ((code >= 40 && code <= 49) || (code >= 100 && code <= 107)) {
      ground = code === 49 ? '' : one;
    }
  }
  return [...[...on].sort((a, b) => a - b).map(String), ink, ground].filter(Boolean).join(';');
}

/** Parameters one by one; those of a colour of 256 or of 24 bits together. */
function attributes(parameters: string): string[] {
  const rest = parameters.split(/[;:]/);
  const found: string[] = [];
  while (rest.length > 0) {
    const one = rest.shift() ?? '';
    const more = one !== '38' && one !== '48' ? 0 : rest[0] === '5' ? 2 : rest[0] === '2' ? 4 : 0;
    found.push([one, ...rest.splice(0, more)].join(';'));
  }
  return found;
}

/** One line after all that was written to it: letters in their styles, nothing that moves. */
export function settle(line: string, style: string): readonly Span[] {
  if (!CONTROL.test(line)) {
    return line === '' ? [] : [{ style, text: line }];
  }
  const letters: string[] = [];
  const styles: string[] = [];
  let at = 0;
  let now = style;
  for (let place = 0; place < line.length;) {
    const letter = String.fromCodePoint(line.codePointAt(place) ?? 0);
    if (letter === ESC) {
      SEQUENCE.lastIndex = place;
      const found = SEQUENCE.exec(line);
      place += found === null ? 1 : found[0].length;
      if (found?.[2] === 'm') {
        now = styled(now, found[1] ?? '');
      } else if (found?.[2] === 'K') {
        erase(letters, at, found[1] ?? '');
      }
      continue;
    }
    place += letter.length;
    if (letter === '\r') {
      at = 0;
    } else if (letter === '\b') {
      at = Math.max(0, at - 1);
    } else if (letter === '\t' || !CONTROL.test(letter)) {
      letters[at] = letter;
      styles[at] = now;
      at += 1;
    }
  }
  return joined(letters, styles);
}

/** The style in which the line after this one begins. */
export function styleAfter(line: string, style: string): string {
  let now = style;
  for (let place = line.indexOf(ESC); place >= 0; place = line.indexOf(ESC, place + 1)) {
    SEQUENCE.lastIndex = place;
    const found = SEQUENCE.exec(line);
    if (found?.[2] === 'm') {
      now = styled(now, found[1] ?? '');
    }
  }
  return now;
}

/** A line that means the same and is no longer than it has to be, to which more may be written. */
export function compact(line: string, style: string): string {
  const last = line.lastIndexOf('\r');
  const before = last <= 0 ? -1 : line.lastIndexOf('\r', last - 1);
  if (before < 0) {
    return line;
  }
  const begin = line.slice(0, last);
  const spans = settle(begin, style);
  const end = { style: styleAfter(begin, style), text: '' };
  return written([...spans, end], style) + line.slice(last);
}

/** Spans as a terminal would be told of them, from a style on. */
export function written(spans: readonly Span[], style: string): string {
  let now = style;
  let text = '';
  for (const span of spans) {
    if (span.style !== now) {
      text += `${ESC}[0${span.style === '' ? '' : `;${span.style}`}m`;
      now = span.style;
    }
    text += span.text;
  }
  return text;
}

/** Lines without what is not printed. Those that rewrite themselves have to be settled before. */
export function plain(text: string): string {
  let found = '';
  let from = 0;
  for (let place = text.indexOf(ESC); place >= 0; place = text.indexOf(ESC, from)) {
    SEQUENCE.lastIndex = place;
    const length = SEQUENCE.exec(text)?.[0].length ?? 1;
    found += text.slice(from, place);
    from = place + length;
  }
  return (found + text.slice(from)).replace(CONTROLS, '');
}

function erase(letters: string[], at: number, mode: string): void {
  if (mode === '1' || mode === '2') {
    letters.fill(' ', 0, Math.min(at + 1, letters.length));
  }
  if (mode !== '1') {
    letters.length = Math.min(at, letters.length);
  }
}

function joined(letters: readonly string[], styles: readonly string[]): readonly Span[] {
  const spans: { style: string; text: string }[] = [];
  for (let at = 0; at < letters.length; at++) {
    const style = styles[at] ?? '';
    const last = spans[spans.length - 1];
    if (last?.style === style) {
      last.text += letters[at] ?? ' ';
    } else {
      spans.push({ style, text: letters[at] ?? ' ' });
    }
  }
  return spans;
}
