/** GPU Workbench in JupyterLab: one plugin a file. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { client } from './plugins/client';
import { outputs } from './plugins/outputs';
import { panel } from './plugins/panel';
import { renderer } from './plugins/renderer';
import { start } from './plugins/start';

const plugins: JupyterFrontEndPlugin<unknown>[] = [client, renderer, outputs, panel, start];

export default plugins;
