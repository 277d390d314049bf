/** GPU Workbench in JupyterLab: one plugin a file. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { client } from './plugins/client';
import { panel } from './plugins/panel';
import { renderer } from './plugins/renderer';

const plugins: JupyterFrontEndPlugin<unknown>[] = [client, renderer, panel];

export default plugins;
