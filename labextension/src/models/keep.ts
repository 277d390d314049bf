/** How long an idle session is kept. */

/** Seconds by which a press of the button puts off its end. */
export const KEEP = 2 * 3600;
