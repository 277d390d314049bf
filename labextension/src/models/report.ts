/**
 * A failure as plain text, to be sent to somebody: what, where, when, and the last lines.
 *
 * It stays in English, as the server's sentences in it: whoever is asked may speak another language.
 */

import type { Failure, RankLine, Snapshot } from '../wire';

/** Lines of a traceback that are copied at most. */
const LINES = 40;
const RANKS = 16;

/** What looks like a secret, and is not copied: headers, assignments, passwords in addresses, tokens by their form. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 …'],
  [
    /\b([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|credential)[\w-]*)(["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;)}\]]+)/gi,
    '$1$2…'
  ],
  [/(\w+:\/\/)[^\s/@:]*:[^\s/@]+@/g, '$1…@'],
  [/\b(?:hf|ghp|gho|ghs|glpat|sk|pk|xox[abp])[-_][\w-]{12,}/g, '…'],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, '…'],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, '…']
];

/** Text without what looks like a secret. */
export function withoutSecrets(text: string): string {
  return SECRETS.reduce((left, [pattern, instead]) => left.replace(pattern, instead), text);
}

/**
 * The report.
 *
 * @param found The run. Names that may not be kept are not in it, and so not in the report.
 * @param versions What it was seen with, e.g. `JupyterLab 4.6.0`.
 * @param now When it is written.
 */
export function report(found: Snapshot, versions: readonly string[], now: Date): string {
  const { snapshot: shown, where } = found;
  const title = [shown.word ?? shown.phase, shown.name].filter(Boolean).join(' ');
  const cluster = [where.context, where.namespace].filter(Boolean).join(' / ');
  const lines: (readonly [string, string | undefined])[] = [
    ['what', shown.answer],
    ['hint', shown.hint],
    ['run', [found.id, found.run].filter(Boolean).join(' / ')],
    ['where', [where.backend, cluster, where.gpus].filter(Boolean).join(' · ')],
    ['ranks', (shown.rank_count ?? 0) > 1 ? String(shown.rank_count) : ''],
    ['ran', shown.ran == null ? '' : `${shown.ran} s`],
    ['events', (shown.moments ?? []).map(({ at, what }) => `${what} at ${at} s`).join(', ')],
    ['seen', now.toISOString()],
    ['with', versions.join(', ')],
    ['simulated', shown.simulated === true ? 'yes: its devices are doubles' : '']
  ];
  const parts = [
    title,
    ...lines
      .filter(([, said]) => said != null && said !== '')
      .map(([word, said]) => `${word}: ${said ?? ''}`),
    ...(shown.ranks ?? []).slice(0, RANKS).flatMap(ofRank),
    ...(shown.notes ?? []),
    ...detail(shown.failure ?? null)
  ];
  return withoutSecrets(parts.join('\n')) + '\n';
}

function ofRank(rank: RankLine): string[] {
  if (rank.failure == null) {
    return [];
  }
  const { what, exit_code, signal } = rank.failure;
  const code = exit_code == null ? '' : `exit ${exit_code}`;
  const said = [rank.host, rank.phase, code, signal, what].filter(Boolean).join(' · ');
  return [`rank ${rank.rank}: ${said}`];
}

function detail(failure: Failure | null): string[] {
  const text = failure?.detail?.trimEnd() ?? '';
  return text === '' ? [] : ['', ...text.split('\n').slice(-LINES)];
}
