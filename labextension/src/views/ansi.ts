/** A line of a log as elements: its colours are JupyterLab's own, and what was looked for is marked. Never as markup. */

import Anser from 'anser';

import type { Span } from '../models/terminal';
import { h } from './dom';

/** How a style looks. */
interface Look {
  readonly className: string;
  readonly color: string;
  readonly background: string;
}

/** The parameter that turns ink and ground round; parameters of one figure stand before those of colours. */
const REVERSED = /^((?:\d;)*)7(?=;|$)/;

const looks = new Map<string, Look>();

/**
 * The elements of a line.
 *
 * @param pattern What is to be marked, with the flag `g`; `null` for nothing.
 */
export function nodesOf(spans: readonly Span[], pattern: RegExp | null): Node[] {
  if (pattern === null) {
    return spans.map(span => dressed(span.style, span.text));
  }
  const text = spans.map(span => span.text).join('');
  const nodes: Node[] = [];
  const rest = [...spans];
  let used = 0;
  const take = (count: number): Node[] => {
    const taken: Node[] = [];
    while (count > 0) {
      const span = rest[0];
      if (span === undefined) {
        break;
      }
      const part = span.text.slice(used, used + count);
      taken.push(dressed(span.style, part));
      count -= part.length;
      used += part.length;
      if (used === span.text.length) {
        rest.shift();
        used = 0;
      }
    }
    return taken;
  };
  let at = 0;
  for (const hit of text.matchAll(pattern)) {
    nodes.push(...take(hit.index - at), h('mark', 'gpuw-LogHit', ...take(hit[0].length)));
    at = hit.index + hit[0].length;
  }
  return [...nodes, ...take(text.length - at)];
}

function dressed(style: string, text: string): Node {
  if (style === '') {
    return document.createTextNode(text);
  }
  const { className, color, background } = lookOf(style);
  const node = h('span', className, text);
  node.style.color = color;
  node.style.backgroundColor = background;
  return node;
}

function lookOf(style: string): Look {
  let look = looks.get(style);
  if (look === undefined) {
    look = read(style);
    if (looks.size < 1000) {
      looks.set(style, look);
    }
  }
  return look;
}

function read(style: string): Look {
  const reversed = REVERSED.test(style); // turned round here: what has no colour has the theme's
  const [found] = Anser.ansiToJson(`\u001b[${style.replace(REVERSED, '$1')}mx`, {
    json: true,
    use_classes: true,
    remove_empty: true
  });
  const classes: string[] = [];
  const marks: readonly string[] = found?.decorations ?? [];
  const ink = reversed ? found?.bg : found?.fg;
  const ground = reversed ? found?.fg : found?.bg;
  for (const [name, end] of [
    [ink, 'fg'],
    [ground, 'bg']
  ] as const) {
    if (name != null && !isOwn(name)) {
      classes.push(`${name.replace(/^ansi-bright-(.*)$/, 'ansi-$1-intense')}-${end}`);
    } else if (name == null && reversed) {
      classes.push(`ansi-default-inverse-${end}`);
    }
  }
  for (const mark of ['bold', 'underline']) {
    if (marks.includes(mark)) {
      classes.push(`ansi-${mark}`);
    }
  }
  for (const mark of ['dim', 'italic', 'strikethrough']) {
    if (marks.includes(mark)) {
      classes.push(`gpuw-mod-${mark}`);
    }
  }
  const [inkOf, groundOf] = [found?.fg_truecolor, found?.bg_truecolor];
  return {
    className: classes.join(' '),
    color: own(ink, reversed ? groundOf : inkOf),
    background: own(ground, reversed ? inkOf : groundOf)
  };
}

/** Whether a colour is one of 256 or of 24 bits, for which there is no class. */
function isOwn(name: string): boolean {
  return name.startsWith('ansi-palette-') || name === 'ansi-truecolor';
}

/** The value of such a colour; empty for others. */
function own(name: string | null | undefined, rgb: string | null | undefined): string {
  if (name === 'ansi-truecolor') {
    return `rgb(${rgb ?? ''})`;
  }
  if (name?.startsWith('ansi-palette-') !== true) {
    return '';
  }
  const number = Number(name.slice('ansi-palette-'.length)) - 16;
  if (number >= 216) {
    const grey = 8 + 10 * (number - 216);
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const level = (value: number) => (value === 0 ? 0 : 55 + 40 * value);
  const [red, green, blue] = [Math.floor(number / 36), Math.floor(number / 6) % 6, number % 6];
  return `rgb(${level(red)}, ${level(green)}, ${level(blue)})`;
}
