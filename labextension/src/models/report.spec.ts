import type { Snapshot } from '../wire';
import { report, withoutSecrets } from './report';

const NOW = new Date('2026-01-02T03:04:05Z');

const FAILED: Snapshot = {
  version: 1,
  id: 'abc',
  run: 'run-1',
  where: { backend: 'kubernetes', context: 'prod', namespace: 'team-a', gpus: '2 nodes × 4 H200' },
  snapshot: {
    saved: 'full',
    phase: 'Failed',
    word: 'Failed',
    name: 'ablation-3',
    answer: 'CUDA out of memory, on rank 3 (node-a) after 2:07',
    ran: 127,
    moments: [
      { at: 0, what: 'asked for' },
      { at: 129, what: 'failed' }
    ],
    rank_count: 8,
    failure: {
      cause: 'cuda-out-of-memory',
      what: 'CUDA out of memory',
      detail: 'one\ntwo',
      rank: 3
    },
    ranks: [
      {
        rank: 3,
        host: 'node-a',
        phase: 'Failed',
        failure: { cause: 'cuda-out-of-memory', what: 'CUDA out of memory', exit_code: 1 }
      },
      { rank: 0, phase: 'Running' }
    ]
  }
};

it('says what, where, when, with what, and ends with the last lines', () => {
  expect(report(FAILED, ['JupyterLab 4.6.6'], NOW).split('\n')).toEqual([
    'Failed ablation-3',
    'what: CUDA out of memory, on rank 3 (node-a) after 2:07',
    'run: abc / run-1',
    'where: kubernetes · prod / team-a · 2 nodes × 4 H200',
    'ranks: 8',
    'ran: 127 s',
    'events: asked for at 0 s, failed at 129 s',
    'seen: 2026-01-02T03:04:05.000Z',
    'with: JupyterLab 4.6.6',
    'rank 3: node-a · Failed · exit 1 · CUDA out of memory',
    '',
    'one',
    'two',
    ''
  ]);
});

it('keeps the last 40 lines of a traceback', () => {
  const detail = Array.from({ length: 100 }, (_, at) => `line ${at}`).join('\n');
  const failure = { ...FAILED.snapshot.failure, cause: 'exited', what: 'x', detail } as const;
  const text = report({ ...FAILED, snapshot: { ...FAILED.snapshot, failure } }, [], NOW);
  expect(text).toContain('line 99');
  expect(text).toContain('line 60');
  expect(text).not.toContain('line 59');
});

it.each([
  ['HF_TOKEN=hf_abcdefghijklmnop', 'HF_TOKEN=…'],
  ["password: 'a b c', user: me", 'password: …, user: me'],
  ['{"api_key": "1234", "n": 2}', '{"api_key": …, "n": 2}'],
  ['Authorization: Bearer abc.def-ghi_jkl', 'Authorization: Bearer …'],
  ['GET https://me:hunter2@host/x', 'GET https://…@host/x'],
  ['login ghp_0123456789abcdef0123', 'login …'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', '…'],
  ['key AKIAABCDEFGHIJKLMNOP.', 'key ….'],
  ['3.2 million tokens, a tokenizer', '3.2 million tokens, a tokenizer']
])('%s is copied as %s', (text, copied) => {
  expect(withoutSecrets(text)).toBe(copied);
});
