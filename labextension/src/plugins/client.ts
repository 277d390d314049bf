/** Live facts of runs, for all other plugins. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator } from '@jupyterlab/translation';

import { Runs } from '../models/runs';
import { IRuns } from '../tokens';
import { useTranslator } from '../translation';

export const client: JupyterFrontEndPlugin<IRuns> = {
  id: '@gpu-workbench/labextension:client',
  description: 'Live facts of runs, over one WebSocket for this tab.',
  autoStart: true,
  optional: [ITranslator],
  provides: IRuns,
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) => {
    useTranslator(translator); // all others that show something need this one, and so come after it
    return new Runs(app.serviceManager.serverSettings);
  }
};
