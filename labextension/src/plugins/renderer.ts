/** The view under a cell: drawn from the notebook's own data at once, and live while its run goes on. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { CommandIDs } from '../commands';
import { opener } from '../models/open';
import { IRuns } from '../tokens';
import { MIME_TYPE } from '../models/snapshot';
import { RunView } from '../views/output';

export const renderer: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:renderer',
  description: 'Draws runs of GPU Workbench in notebook outputs.',
  autoStart: true,
  requires: [IRenderMimeRegistry, IRuns],
  activate: (app: JupyterFrontEnd, registry: IRenderMimeRegistry, runs: IRuns) => {
    const detach = (workload: string, run: string) =>
      void app.commands.execute(CommandIDs.detachCell, { workload, run });
    registry.addFactory(
      {
        safe: true,
        mimeTypes: [MIME_TYPE],
        defaultRank: 0,
        createRenderer: () =>
          new RunView(runs, opener(app.commands), [`${app.name} ${app.version}`], detach)
      },
      0
    );
  }
};
