/** GPU Workbench in JupyterLab: one plugin a file. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { client } from './plugins/client';
import { commands } from './plugins/commands';
import { notices } from './plugins/notices';
import { outputs } from './plugins/outputs';
import { panel } from './plugins/panel';
import { renderer } from './plugins/renderer';
import { run } from './plugins/run';
import { settings } from './plugins/settings';
import { start } from './plugins/start';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  client,
  settings,
  renderer,
  outputs,
  panel,
  run,
  start,
  commands,
  notices
];

export default plugins;
