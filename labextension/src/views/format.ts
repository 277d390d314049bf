/** Figures in words, as `core/quantities.py` and `surfaces/view/lines.py` write them. Symbols of units are the same in all languages. */

import { trans } from '../translation';
import type { Progress } from '../wire';

/** What stands where a figure is not known: `n/a`, with the reason where there is one. */
export function notKnown(why = ''): string {
  return why === '' ? trans.__('n/a') : `${trans.__('n/a')} (${why})`;
}

/** `8.2 s`, `1:41`, `2:07:05`. */
export function seconds(value: number): string {
  if (value < 9.95) {
    return `${value.toFixed(1)} s`;
  }
  const whole = Math.round(value);
  if (whole < 60) {
    return `${whole} s`;
  }
  const rest = two(whole % 60);
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${rest}` : `${minutes}:${rest}`;
}

/** A length of time to go: `40 s`, `5 min 04 s`, `1 h 52 min`. */
export function about(value: number): string {
  const whole = Math.round(value);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return `${minutes} min ${two(whole % 60)} s`;
  }
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** `71 %`; `n/a` for what is not known. */
export function percent(value: number | null | undefined): string {
  return value == null ? notKnown() : `${value.toFixed(0)} %`;
}

const STEPS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** `66 / 141 GiB`; `n/a` for what is not known. */
export function memory(used: number | null | undefined, total: number | null | undefined): string {
  if (used == null) {
    return notKnown();
  }
  let size = 1;
  let unit = 'B';
  for (const step of STEPS) {
    if ((total ?? used) / size < 999.5) {
      break;
    }
    size *= 1024;
    unit = step;
  }
  const part = (value: number) => (value / size).toFixed(value / size < 10 && unit !== 'B' ? 1 : 0);
  return total == null
    ? `${part(used)} ${unit}`
    : `${part(used)} / ${whole(total / size, unit)} ${unit}`;
}

/** An amount as it is said of what there is: `141`, `3.1`, `8`. */
function whole(value: number, unit: string): string {
  return value < 10 && unit !== 'B' ? short(value) : value.toFixed(0);
}

/** `1.5 GiB`, `8 GiB`. */
export function bytes(value: number): string {
  return memory(value, null).replace(/\.0(?= )/, '');
}

/** `412 tasks/s`, or seconds for each where it is slower than that; empty where it is not known. */
export function tasks(rate: number | null | undefined): string {
  if (rate == null || rate <= 0) {
    return '';
  }
  return rate < 1
    ? trans.__('%1 s/task', figures(1 / rate))
    : trans.__('%1 tasks/s', figures(rate));
}

/** `0.45 GPU-h`; in GPU-seconds where that would be nothing. */
export function gpuHours(gpuSeconds: number): string {
  const hours = gpuSeconds / 3600;
  if (hours < 0.001) {
    return `${short(gpuSeconds)} GPU-s`;
  }
  return hours >= 10 ? `${hours.toFixed(1)} GPU-h` : `${short(hours)} GPU-h`;
}

/** Two figures that count. */
function short(value: number): string {
  return String(Number(value.toPrecision(2)));
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `12.4 step/s`, or seconds for each where it is slower than that; empty where it is not known. */
export function rate(progress: Progress): string {
  const { rate: found, unit } = progress;
  if (found == null || found <= 0) {
    return '';
  }
  const each = unit == null || unit === '' ? 'it' : unit;
  return found < 1 ? `${figures(1 / found)} s/${each}` : `${figures(found)} ${each}/s`;
}

/** `1.10 of 1.98 GHz`; `n/a` for what is not known. */
export function clocks(
  clock: number | null | undefined,
  highest: number | null | undefined
): string {
  if (clock == null) {
    return notKnown();
  }
  const gigahertz = (value: number) => (value / 1000).toFixed(2);
  return highest == null
    ? `${gigahertz(clock)} GHz`
    : trans.__('%1 of %2 GHz', gigahertz(clock), gigahertz(highest));
}

/** `1,240`, `0.5`. */
export function count(value: number): string {
  const digits = Number.isInteger(value) || value >= 1000 ? 0 : 1;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** Three figures that count. */
function figures(value: number): string {
  return value >= 100
    ? value.toLocaleString('en', { maximumFractionDigits: 0 })
    : String(Number(value.toPrecision(3)));
}
