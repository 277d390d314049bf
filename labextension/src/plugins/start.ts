/** The form that starts a session, in the panel. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker } from '@jupyterlab/notebook';

import { IRuns, IRunsPanel } from '../tokens';
import { trans } from '../translation';
import { button } from '../views/dom';
import type { StartView } from '../views/start';

export const NEW_SESSION = 'gpu-workbench:new-session';

export const start: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:start',
  description: 'Starts a session without knowing a flag.',
  autoStart: true,
  requires: [IRuns, IRunsPanel],
  optional: [INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    runs: IRuns,
    panel: IRunsPanel,
    notebooks: INotebookTracker | null
  ) => {
    let form: Promise<StartView> | null = null;
    const opener = button(trans.__('+ New'), trans.__('Start a session'), () => {
      form ??= make();
      void form.then(view => {
        view.toggle();
      });
    });
    opener.classList.add('gpuw-Primary');
    opener.setAttribute('aria-expanded', 'false');
    panel.actions.append(opener);
    const folder = () => PathExt.dirname(notebooks?.currentWidget?.context.localPath ?? '');
    const make = async () => {
      const { StartView } = await import('../views/start');
      const made = new StartView(runs, { opener, folder });
      panel.top.append(made.node);
      return made;
    };
    app.commands.addCommand(NEW_SESSION, {
      label: trans.__('New GPU Session'),
      caption: trans.__('Start a session that any notebook can use'),
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => runs.mayStart,
      execute: async () => {
        panel.open();
        form ??= make();
        (await form).open();
      }
    });
    const offer = () => {
      opener.hidden = !runs.mayStart;
      app.commands.notifyCommandChanged(NEW_SESSION);
    };
    runs.connectionChanged.connect(offer);
    offer();
  }
};
