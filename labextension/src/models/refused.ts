/** What the server refuses, in its own sentences. */

import { trans } from '../translation';
import { isMembers } from './topic';

/** A refusal: one sentence, and of a form one for each field that is wrong. */
export class Refused extends Error {
  constructor(message: string, fields: Readonly<Record<string, string>> = {}, status = 0) {
    super(message);
    this.fields = fields;
    this.final = status >= 400 && status < 500;
  }

  readonly fields: Readonly<Record<string, string>>;

  /** Whether it would be refused again. */
  readonly final: boolean;
}

/** The refusal in an answer's body: what, why, and what to do. */
export function refusal(said: unknown, status: number): Refused {
  if (!isMembers(said) || typeof said.message !== 'string') {
    return new Refused(trans.__('The server answers %1', status), {}, status);
  }
  const why = typeof said.why === 'string' && said.why !== '' ? `: ${said.why}` : '';
  const fix = typeof said.fix === 'string' && said.fix !== '' ? `. ${said.fix}` : '';
  const fields = isMembers(said.fields) ? Object.entries(said.fields) : [];
  return new Refused(
    `${said.message}${why}${fix}`,
    Object.fromEntries(fields.map(([name, text]) => [name, String(text)])),
    status
  );
}
