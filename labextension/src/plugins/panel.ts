/** The panel in the left side bar. */

import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';

import { CommandIDs, PANEL } from '../commands';
import { runsIcon } from '../icons';
import { Absence } from '../models/absence';
import { attachLine } from '../models/attach';
import { opener } from '../models/open';
import { nameOf } from '../models/runlist';
import { IRuns, IRunsPanel } from '../tokens';
import { trans } from '../translation';
import type { Row } from '../wire';
import { RunsPanel } from '../views/panel';

export const panel: JupyterFrontEndPlugin<IRunsPanel> = {
  id: '@gpu-workbench/labextension:panel',
  description: 'Every run of the user, in the side bar.',
  autoStart: true,
  requires: [IRuns],
  optional: [ILayoutRestorer, INotebookTracker],
  provides: IRunsPanel,
  activate: (
    app: JupyterFrontEnd,
    runs: IRuns,
    restorer: ILayoutRestorer | null,
    tracker: INotebookTracker | null
  ) => {
    const { commands, serviceManager } = app;
    const openNotebook = ({ id, path = '', file = '', cell = '' }: Row) =>
      void commands.execute(CommandIDs.openNotebook, { id, path, file, cell });
    const open = opener(commands);
    const widget = new RunsPanel(runs, {
      open: row => {
        if (runs.mayAct) {
          open(row.id, '', nameOf(row));
        } else {
          openNotebook(row);
        }
      },
      notebook: openNotebook,
      attach: row => void commands.execute(CommandIDs.attach, { line: attachLine(row) })
    });
    widget.id = PANEL;
    widget.title.icon = runsIcon;
    widget.title.caption = trans.__('GPU runs');
    app.shell.add(widget, 'left', { rank: 450 });
    restorer?.add(widget, widget.id);
    tracker?.currentChanged.connect((_, current) => {
      widget.setNotebook(current?.context.localPath ?? '');
      current?.context.pathChanged.connect(context => {
        if (tracker.currentWidget === current) {
          widget.setNotebook(context.localPath);
        }
      });
    });
    const absence = new Absence(runs, localStorage, serviceManager.serverSettings.baseUrl);
    absence.ended.connect((_, found) => {
      widget.setSince(found);
    });
    void app.restored.then(() => {
      absence.begin();
    });
    return {
      actions: widget.actions,
      top: widget.top,
      open: () => {
        app.shell.activateById(widget.id);
      }
    };
  }
};
