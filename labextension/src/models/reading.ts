/** Reads what anybody may have written: only what has the right form and size comes through. */

import { isMembers } from './topic';

/** The value as it should be; `undefined` for what is none. */
export type Read<T> = (value: unknown) => T | undefined;

/** A reader for each member: a member that is added to the type is missing here until it has one. */
export type Readers<T> = { readonly [K in keyof Required<T>]: Read<NonNullable<T[K]>> };

/** Beyond it a number is no count of anything, and fills a screen with digits. */
const LARGEST = 2 ** 60;

/** Control characters, and marks that reverse the direction of what follows. */
// eslint-disable-next-line no-control-regex -- these are meant
const UNSHOWABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text of so many characters at most, cut with an ellipsis. */
export function text(limit: number): Read<string> {
  return value => {
    if (typeof value !== 'string') {
      return undefined;
    }
    const cut = value.length > limit ? `${value.slice(0, limit - 1)}…` : value;
    return cut.replace(UNSHOWABLE, '');
  };
}

/** A finite number that somebody could have counted or measured. */
export const number: Read<number> = value =>
  typeof value === 'number' && Math.abs(value) <= LARGEST ? value : undefined;

/** A count, or the number of something counted. */
export const count: Read<number> = value => {
  const found = number(value);
  return found !== undefined && Number.isInteger(found) && found >= 0 ? found : undefined;
};

export const flag: Read<boolean> = value => (typeof value === 'boolean' ? value : undefined);

/** One of so many words. */
export function oneOf<T extends string>(words: Readonly<Record<T, true>>): Read<T> {
  return value =>
    typeof value === 'string' && Object.hasOwn(words, value) ? (value as T) : undefined;
}

/** The first so many of a list; those that are wrong are left out. */
export function list<T>(read: Read<T>, limit: number): Read<readonly T[]> {
  return value =>
    Array.isArray(value)
      ? value
          .slice(0, limit)
          .map(read)
          .filter(one => one !== undefined)
      : undefined;
}

/** Points of a curve; what is no number is a gap. */
export function points(limit: number): Read<readonly (number | null)[]> {
  return value =>
    Array.isArray(value) ? value.slice(-limit).map(one => number(one) ?? null) : undefined;
}

/** The first so many members of an object that names them itself. */
export function record<T>(read: Read<T>, limit: number): Read<Readonly<Record<string, T>>> {
  return value => {
    if (!isMembers(value)) {
      return undefined;
    }
    const found = Object.entries(value)
      .slice(0, limit)
      .map(([name, one]) => [name.slice(0, 40), read(one)] as const)
      .filter((pair): pair is readonly [string, T] => pair[1] !== undefined);
    return Object.fromEntries(found);
  };
}

/** An object with these members; `undefined` where one of the needed is missing or wrong. */
export function object<T>(readers: Readers<T>, needed: readonly (keyof T)[] = []): Read<T> {
  return value => {
    if (!isMembers(value)) {
      return undefined;
    }
    const found: Partial<Record<keyof T, unknown>> = {};
    for (const name of Object.keys(readers) as (keyof T & string)[]) {
      const one = Object.hasOwn(value, name) ? readers[name](value[name]) : undefined;
      if (one !== undefined) {
        found[name] = one;
      } else if (needed.includes(name)) {
        return undefined;
      }
    }
    return found as T;
  };
}
