/** The panel in the left side bar. */

import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { LabIcon } from '@jupyterlab/ui-components';

import { opener } from '../models/open';
import { IRuns } from '../tokens';
import { RunsPanel } from '../views/panel';

/** Three bars on a board: a device at work. */
const icon = new LabIcon({
  name: 'gpu-workbench:runs',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<g class="jp-icon3" fill="#616161"><path d="M3 5h18v14H3V5zm2 2v10h14V7H5z"/>' +
    '<path d="M7 13h2v3H7zM11 9h2v7h-2zM15 11h2v5h-2z"/></g></svg>'
});

export const panel: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:panel',
  description: 'Every run of the user, in the side bar.',
  autoStart: true,
  requires: [IRuns],
  optional: [ILayoutRestorer],
  activate: (app: JupyterFrontEnd, runs: IRuns, restorer: ILayoutRestorer | null) => {
    const widget = new RunsPanel(runs, opener(app.commands));
    widget.id = 'gpu-workbench-runs';
    widget.title.icon = icon;
    widget.title.caption = 'GPU runs';
    app.shell.add(widget, 'left', { rank: 450 });
    restorer?.add(widget, widget.id);
  }
};
