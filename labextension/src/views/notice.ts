/** A notice in one sentence. */

import type { Notice } from '../models/notices';
import { seconds } from './format';

const WORDS: Readonly<Record<Notice['kind'], string>> = {
  started: 'has started',
  done: 'is done',
  failed: 'failed',
  lost: 'was lost'
};

/** `llm-finetune failed after 2:07`. */
export function noticeText({ name, kind, after }: Notice): string {
  return `${name} ${WORDS[kind]} after ${seconds(after)}`;
}
