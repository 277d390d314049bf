/** A notice in one sentence. */

import type { Notice } from '../models/notices';
import { trans } from '../translation';
import { seconds } from './format';

/** `llm-finetune failed after 2:07`. */
export function noticeText({ name, kind, after }: Notice): string {
  const time = seconds(after);
  switch (kind) {
    case 'started':
      return trans.__('%1 has started after %2', name, time);
    case 'done':
      return trans.__('%1 is done after %2', name, time);
    case 'failed':
      return trans.__('%1 failed after %2', name, time);
    case 'lost':
      return trans.__('%1 was lost after %2', name, time);
  }
}
