/** Live facts of runs, for all other plugins. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { Runs } from '../models/runs';
import { IRuns } from '../tokens';

export const client: JupyterFrontEndPlugin<IRuns> = {
  id: '@gpu-workbench/labextension:client',
  description: 'Live facts of runs, over one WebSocket for this tab.',
  autoStart: true,
  provides: IRuns,
  activate: (app: JupyterFrontEnd) => new Runs(app.serviceManager.serverSettings)
};
