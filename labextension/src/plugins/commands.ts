/** What can be done with runs: for the palette, the toolbar, keys and the panel. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Clipboard,
  ICommandPalette,
  ISessionContextDialogs,
  Notification
} from '@jupyterlab/apputils';
import type { ICodeCellModel } from '@jupyterlab/cells';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

import { chooseRun } from '../actions/choose';
import { detach } from '../actions/detach';
import { Refused, runBelow, runOnGpu } from '../actions/notebook';
import { openPlace } from '../actions/place';
import { CommandIDs, PANEL } from '../commands';
import { runCellIcon, runsIcon } from '../icons';
import { attachLine } from '../models/attach';
import { inSession, runOf, waitsInSession } from '../models/cell';
import { ended } from '../models/phases';
import { IPreferences, IRuns } from '../tokens';
import { trans } from '../translation';
import type { Snapshot } from '../wire';

const SAID_FOR = 10_000;

export const commands: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:commands',
  description: 'What can be done with runs.',
  autoStart: true,
  requires: [IRuns, IPreferences, INotebookTracker],
  optional: [ICommandPalette, IDocumentManager, ISessionContextDialogs],
  activate: (
    app: JupyterFrontEnd,
    runs: IRuns,
    preferences: IPreferences,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    documents: IDocumentManager | null,
    dialogs: ISessionContextDialogs | null
  ) => {
    const added = [
      ...inNotebook(app.commands, runs, preferences, tracker, dialogs),
      ...anywhere(app, runs, tracker, dialogs)
    ];
    if (documents !== null) {
      app.commands.addCommand(CommandIDs.openNotebook, {
        label: trans.__('Open the Notebook of a GPU Run'),
        describedBy: { args: argumentsOf('id', 'path', 'file', 'cell') },
        execute: args => said(openPlace(documents, textsOf(args, 'id', 'path', 'file', 'cell')))
      });
    }
    for (const command of added) {
      palette?.addItem({ command, category: trans.__('GPU Workbench') });
    }
    const changed = () => {
      added.forEach(id => {
        app.commands.notifyCommandChanged(id);
      });
    };
    tracker.activeCellChanged.connect(changed);
    tracker.currentChanged.connect(changed);
    preferences.changed.connect(changed);
    runs.connectionChanged.connect(changed);
  }
};

/** Commands for the active cell of the notebook that is open; their ids. */
function inNotebook(
  commands: CommandRegistry,
  runs: IRuns,
  preferences: IPreferences,
  tracker: INotebookTracker,
  dialogs: ISessionContextDialogs | null
): string[] {
  const shown = () => shownIn(tracker);
  commands.addCommand(CommandIDs.runCell, {
    label: trans.__('Run Cell on GPU'),
    caption: trans.__('Run this cell on GPU: puts %1 above it', '%%gpu'),
    icon: runCellIcon,
    describedBy: { args: { type: 'object', properties: { toolbar: { type: 'boolean' } } } },
    isEnabled: () => tracker.activeCell?.model.type === 'code',
    isVisible: args => args.toolbar !== true || preferences.toolbarButton,
    execute: () => {
      const panel = tracker.currentWidget;
      return panel === null ? undefined : said(runOnGpu(panel, dialogs));
    }
  });
  commands.addCommand(CommandIDs.stopCell, {
    label: trans.__('Stop the GPU Run of This Cell'),
    caption: trans.__('Stop the run of the active cell; its session keeps what it has'),
    describedBy: { args: argumentsOf() },
    isEnabled: () => runs.mayAct && goesOn(shown()),
    execute: () => {
      const found = shown();
      return found === null ? undefined : said(stop(runs, found));
    }
  });
  commands.addCommand(CommandIDs.detachCell, {
    label: trans.__('Detach the GPU Run of This Cell'),
    caption: trans.__('Let the active cell, which waits, run without this notebook'),
    describedBy: { args: argumentsOf('workload', 'run') },
    isEnabled: args => {
      const found = shown();
      return runs.mayAct && ('run' in args || (found !== null && waitsInSession(found)));
    },
    execute: args => {
      const found = shown();
      const given = textsOf(args, 'workload', 'run');
      const meant =
        given.run === '' && found !== null ? { workload: found.id, run: found.run } : given;
      return said(detach(tracker, runs, meant, dialogs));
    }
  });
  commands.addCommand(CommandIDs.openCellRun, {
    label: trans.__('Open the GPU Run of This Cell'),
    caption: trans.__('Show the run of the active cell in a tab of its own'),
    describedBy: { args: argumentsOf() },
    isEnabled: () => shown() !== null && commands.hasCommand(CommandIDs.openRun),
    execute: () => {
      const found = shown();
      return found === null
        ? undefined
        : commands.execute(CommandIDs.openRun, { workload: found.id, run: found.run });
    }
  });
  return [CommandIDs.runCell, CommandIDs.stopCell, CommandIDs.detachCell, CommandIDs.openCellRun];
}

/** Commands that need no notebook; their ids. */
function anywhere(
  { commands, shell }: JupyterFrontEnd,
  runs: IRuns,
  tracker: INotebookTracker,
  dialogs: ISessionContextDialogs | null
): string[] {
  commands.addCommand(CommandIDs.showRuns, {
    label: trans.__('Show GPU Runs'),
    caption: trans.__('Show the panel of all runs'),
    icon: runsIcon,
    describedBy: { args: argumentsOf() },
    execute: () => {
      shell.activateById(PANEL);
    }
  });
  commands.addCommand(CommandIDs.attach, {
    label: trans.__('Attach a GPU Run Here…'),
    caption: trans.__('Show a run again, in a new cell of the notebook that is open'),
    describedBy: { args: argumentsOf('line') },
    execute: async args => {
      const line = typeof args.line === 'string' ? args.line : await choose(runs);
      const panel = tracker.currentWidget;
      if (line === null) {
        return;
      }
      if (panel === null) {
        Clipboard.copyToSystem(line);
        Notification.info(trans.__('No notebook is open, so this was copied for one: %1', line), {
          autoClose: SAID_FOR
        });
        return;
      }
      await said(runBelow(panel, line, dialogs));
    }
  });
  return [CommandIDs.showRuns, CommandIDs.attach];
}

async function choose(runs: IRuns): Promise<string | null> {
  const row = await chooseRun(runs);
  return row === null ? null : attachLine(row);
}

function stop(runs: IRuns, found: Snapshot): Promise<void> {
  return inSession(found) ? runs.interrupt(found.id, found.run) : runs.stop(found.id);
}

/** The run whose view stands below the active cell; of an untrusted one it is not believed. */
function shownIn(tracker: INotebookTracker): Snapshot | null {
  const model = tracker.activeCell?.model;
  return model?.type === 'code' && model.trusted ? runOf(model as ICodeCellModel) : null;
}

function goesOn(found: Snapshot | null): boolean {
  return found !== null && !ended(found.snapshot.phase ?? 'Queued');
}

/** Whoever asked is told why it could not be done. */
async function said(done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const kind = error instanceof Refused ? 'info' : 'error';
    Notification.emit(text, kind, { autoClose: SAID_FOR });
  }
}

/** Texts that a command takes. */
function argumentsOf(...names: string[]): ReadonlyJSONObject {
  const text = { type: 'string' };
  return { type: 'object', properties: Object.fromEntries(names.map(name => [name, text])) };
}

function textsOf<K extends string>(
  args: Readonly<Record<string, unknown>>,
  ...names: K[]
): Record<K, string> {
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return Object.fromEntries(names.map(name => [name, text(args[name])])) as Record<K, string>;
}
