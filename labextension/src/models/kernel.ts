/** What a kernel is asked without leaving a trace in it: no output, no history, no variable. */

import type { Kernel } from '@jupyterlab/services';

/** Whether a kernel knows the magics. */
export type Readiness = 'loaded' | 'there' | 'missing' | 'no-python';

const MANAGER = 'get_ipython().extension_manager';

/** Ask a kernel whether it has loaded our package, or could. It answers after what it executes already. */
export async function readiness(kernel: Kernel.IKernelConnection): Promise<Readiness> {
  const { language_info: language } = await kernel.info;
  if (language.name !== 'python') {
    return 'no-python';
  }
  const answers = await evaluate(kernel, {
    loaded: `"gpu_workbench" in ${MANAGER}.loaded`,
    there: '__import__("importlib.util").util.find_spec("gpu_workbench") is not None'
  });
  if (answers.loaded === 'True') {
    return 'loaded';
  }
  return answers.there === 'True' ? 'there' : 'missing';
}

/** Load our package in a kernel; where that was done before, nothing happens. */
export async function load(kernel: Kernel.IKernelConnection): Promise<void> {
  await evaluate(kernel, { loaded: `${MANAGER}.load_extension("gpu_workbench")` });
}

async function evaluate(
  kernel: Kernel.IKernelConnection,
  expressions: Readonly<Record<string, string>>
): Promise<Readonly<Record<string, string>>> {
  const future = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    allow_stdin: false,
    user_expressions: expressions
  });
  const { content } = await future.done;
  const found: Record<string, string> = {};
  if (content.status === 'ok') {
    for (const [name, answer] of Object.entries(content.user_expressions)) {
      found[name] = textOf(answer);
    }
  }
  return found;
}

/** An expression's value as the kernel writes it; empty where it failed. */
function textOf(answer: unknown): string {
  const text = (answer as { data?: Readonly<Record<string, unknown>> } | null)?.data?.[
    'text/plain'
  ];
  return typeof text === 'string' ? text : '';
}
