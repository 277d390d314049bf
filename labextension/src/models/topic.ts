/** A topic as it is put together from the server's messages. */

import { trans } from '../translation';

/** A message of the server about a topic. */
export type Message =
  | { readonly topic: string; readonly seq: number; readonly state: Members }
  | {
      readonly topic: string;
      readonly seq: number;
      readonly set: Members;
      readonly gone: readonly string[];
    };

export type Members = Readonly<Record<string, unknown>>;

/** Read a message; `null` for what is none. */
export function parse(text: string): Message | Refusal | null {
  let form: unknown;
  try {
    form = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isMembers(form)) {
    return null;
  }
  if (isMembers(form.error)) {
    const { message } = form.error;
    const topic = typeof form.topic === 'string' ? form.topic : null;
    return {
      topic,
      message: typeof message === 'string' ? message : trans.__('The server refuses')
    };
  }
  const { topic, seq, state, set, gone } = form;
  if (typeof topic !== 'string' || typeof seq !== 'number') {
    return null;
  }
  if (isMembers(state)) {
    return { topic, seq, state };
  }
  return isMembers(set) && Array.isArray(gone) && gone.every(name => typeof name === 'string')
    ? { topic, seq, set, gone }
    : null;
}

/** The server does not give a topic, or did not understand a message. */
export interface Refusal {
  readonly topic: string | null;
  readonly message: string;
}

/** What is known of one topic. */
export class Topic {
  /** Take a message in; `false` where one before it is missing: then the topic has to be asked for again. */
  take(message: Message): boolean {
    if ('state' in message) {
      this._members = message.state;
      this._seq = message.seq;
      return true;
    }
    if (message.seq !== this._seq + 1) {
      return false;
    }
    const members = { ...this._members, ...message.set };
    for (const name of message.gone) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- members are named by the server
      delete members[name];
    }
    this._members = members;
    this._seq = message.seq;
    return true;
  }

  /** Its members now. */
  get members(): Members {
    return this._members;
  }

  private _members: Members = {};
  private _seq = 0;
}

/** Members of a nested object, whose names stand after a dot: `snapshot.word`. */
export function nested(members: Members): Members {
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(members)) {
    const [outer, inner] = name.split('.', 2) as [string, string | undefined];
    if (inner === undefined) {
      found[name] = value;
    } else {
      found[outer] = { ...(found[outer] as Members | undefined), [inner]: value };
    }
  }
  return found;
}

export function isMembers(form: unknown): form is Members {
  return typeof form === 'object' && form !== null && !Array.isArray(form);
}
