/** Pauses between attempts to connect: doubling, with jitter, so that tabs do not come back in step. */

const FIRST = 500;
const LONGEST = 15_000;

/** Milliseconds before the next attempt, after so many failures in a row. */
export function pause(failures: number, random: () => number = Math.random): number {
  return Math.min(LONGEST, FIRST * 2 ** failures) * (0.5 + random() / 2);
}
