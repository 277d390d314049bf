/** A run with its log in the main area. */

import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { listIcon } from '@jupyterlab/ui-components';
import { SplitPanel } from '@lumino/widgets';
import type { Widget } from '@lumino/widgets';

import { Logs } from '../models/logs';
import { OPEN_RUN } from '../models/open';
import { IRuns } from '../tokens';
import { trans } from '../translation';
import type { RunDocument } from '../views/run';

/** Pixels below which there is nothing to be read. */
const LEAST = 100;

type Opened = MainAreaWidget<RunDocument>;

const ARGUMENTS = {
  type: 'object',
  properties: {
    workload: { type: 'string', description: 'Id of the session or job' },
    run: { type: 'string', description: 'Id of the run in it; all of them without' },
    name: { type: 'string', description: 'What people call it' },
    rank: {
      type: 'integer',
      description: 'Whose log, where it has several ranks; that of rank 0 without'
    }
  },
  required: ['workload']
} as const;

export const run: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:run',
  description: 'A run with its log in the main area.',
  autoStart: true,
  requires: [IRuns],
  optional: [ILayoutRestorer, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    runs: IRuns,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null
  ) => {
    const logs = new Logs(app.serviceManager.serverSettings);
    const tracker = new WidgetTracker<Opened>({ namespace: 'gpu-workbench-run' });
    const names = new WeakMap<Opened, string>();
    const make = async (
      workload: string,
      one: string,
      name: string,
      rank: number
    ): Promise<Opened> => {
      const { RunDocument } = await import('../views/run'); // nobody waits for it before it is wanted
      const widget = new MainAreaWidget({
        content: new RunDocument(runs, logs, workload, one, rank)
      });
      const title = name === '' ? (one === '' ? workload : one).slice(0, 8) : name;
      widget.id = `gpu-workbench-run-${workload}-${one}${rank === 0 ? '' : `-${rank}`}`;
      widget.title.icon = listIcon;
      widget.title.label =
        rank === 0 ? trans.__('Log of %1', title) : trans.__('Log of %1, rank %2', title, rank);
      widget.title.caption = `${title} · ${workload}`;
      widget.toolbar.hide();
      names.set(widget, name);
      return widget;
    };
    const find = (workload: string, one: string, rank: number): Opened | undefined =>
      tracker.find(
        ({ content }) =>
          content.workload === workload && content.run === one && content.rank === rank
      );
    app.commands.addCommand(OPEN_RUN, {
      label: trans.__('Open Run with Its Log'),
      describedBy: { args: ARGUMENTS },
      isVisible: () => false, // it has no meaning without an id
      execute: async args => {
        const [workload, one, name] = [args.workload, args.run, args.name].map(value =>
          typeof value === 'string' ? value : ''
        ) as [string, string, string];
        if (workload === '') {
          throw new Error(trans.__('Which run? Give its workload'));
        }
        const rank = typeof args.rank === 'number' ? args.rank : 0;
        const made = find(workload, one, rank) ?? (await make(workload, one, name, rank));
        const widget = find(workload, one, rank) ?? made; // it may have been opened meanwhile
        if (!tracker.has(widget)) {
          void tracker.add(widget);
        }
        if (!widget.isAttached) {
          // Notebook 7 has one document in its main area, and room below it
          app.shell.add(widget, labShell === null ? 'down' : 'main');
        }
        app.shell.activateById(widget.id);
        if (labShell === null) {
          makeRoom(widget);
        }
        return widget;
      }
    });
    void restorer?.restore(tracker, {
      command: OPEN_RUN,
      args: widget => ({
        workload: widget.content.workload,
        run: widget.content.run,
        name: names.get(widget) ?? '',
        rank: widget.content.rank
      }),
      name: ({ content }) => `${content.workload}/${content.run}/${content.rank}`
    });
  }
};

/** Give the area below the notebook in Notebook 7 a share of the page: it is no higher than its tabs at first. */
function makeRoom(widget: Widget): void {
  for (let parent = widget.parent; parent !== null; parent = parent.parent) {
    if (parent instanceof SplitPanel && widget.node.clientHeight < LEAST) {
      parent.setRelativeSizes([3, 2]);
    }
  }
}
