/** A cell's source with `%%gpu` above it. */

import { trans } from '../translation';
import { NOT_DETACHED } from '../wire';

/** What becomes of a cell that is to run on GPUs. */
export type GpuSource =
  | { readonly kind: 'ready'; readonly source: string }
  | { readonly kind: 'refused'; readonly why: string };

/** What a shell takes as it stands: no flag begins in it. */
const QUOTED = /'[^']*'|"(?:\\.|[^"\\])*"/g;

const LOAD = /^\s*%(?:re)?load_ext\s+gpu_workbench\b/m;

/** The line that teaches a kernel `%%gpu`. */
export const LOAD_LINE = '%load_ext gpu_workbench';

/** The source with the magic, unchanged where it has it already; or why it cannot have it. */
export function gpuSource(source: string): GpuSource {
  const first = source.split('\n').find(line => line.trim() !== '') ?? '';
  if (first === '') {
    return { kind: 'refused', why: trans.__('This cell is empty') };
  }
  if (/^%%gpu(\s|$)/.test(first)) {
    return { kind: 'ready', source };
  }
  if (first.startsWith('%%')) {
    const magic = first.split(/\s/, 1)[0] ?? '';
    return {
      kind: 'refused',
      why: trans.__('This cell has the magic %1, and a cell has only one', magic)
    };
  }
  if (/^\s*%gpu(\s|$)/.test(first) || LOAD.test(first)) {
    return {
      kind: 'refused',
      why: trans.__('This cell is for the notebook itself: run it as it is')
    };
  }
  return { kind: 'ready', source: `%%gpu\n${source}` };
}

/** The source of a cell with the magic, with `--detach` in its line; or why it cannot have it. */
export function detachedSource(source: string): GpuSource {
  const line = source.split('\n').find(one => one.trim() !== '') ?? '';
  const words = line.replace(QUOTED, '').split(/\s+/);
  const has = (flag: string) => words.some(word => word === flag || word.startsWith(`${flag}=`));
  if (words[0] !== '%%gpu') {
    return { kind: 'refused', why: trans.__('This cell has no %1 above it any more', '%%gpu') };
  }
  if (has('--detach')) {
    return { kind: 'refused', why: trans.__('This cell has %1 already: run it', '--detach') };
  }
  const flag = NOT_DETACHED.find(has);
  if (flag !== undefined) {
    return {
      kind: 'refused',
      why: trans.__(
        '%1 and %2 contradict each other: leave %1 out to detach this cell',
        flag,
        '--detach'
      )
    };
  }
  return { kind: 'ready', source: source.replace('%%gpu', '%%gpu --detach') };
}

/** Whether one of these sources loads the magics. */
export function loads(sources: Iterable<string>): boolean {
  return [...sources].some(source => LOAD.test(source));
}
