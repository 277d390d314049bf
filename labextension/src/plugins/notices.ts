/** Notices of long runs that have started, failed or are done. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';

import { CommandIDs } from '../commands';
import { Claims } from '../models/claims';
import { Notices } from '../models/notices';
import type { Notice } from '../models/notices';
import { IPreferences, IRuns } from '../tokens';
import { trans } from '../translation';
import { noticeText } from '../views/notice';

const KINDS = { started: 'info', done: 'success', failed: 'error', lost: 'error' } as const;

export const notices: JupyterFrontEndPlugin<void> = {
  id: '@gpu-workbench/labextension:notices',
  description: 'Says when a long run has started, failed or is done.',
  autoStart: true,
  requires: [IRuns, IPreferences],
  activate: (app: JupyterFrontEnd, runs: IRuns, preferences: IPreferences) => {
    const looked = () => document.visibilityState === 'visible';
    const claims = new Claims(localStorage, UUID.uuid4(), looked);
    const show = async (notice: Notice) => {
      if (await claims.mine(notice.key)) {
        Notification.emit(noticeText(notice), KINDS[notice.kind], {
          autoClose: notice.kind === 'started' ? 10_000 : false,
          actions: [{ label: trans.__('Open'), callback: () => void open(app, notice) }]
        });
      }
    };
    let following: IDisposable | null = null;
    const follow = () => {
      if (!preferences.notifications) {
        following?.dispose();
        following = null;
        return;
      }
      if (following !== null) {
        return;
      }
      const seen = new Notices();
      following = runs.followAll(known => {
        if (known.kind === 'value') {
          const { notifyAfter } = preferences;
          for (const notice of seen.take(known.value.values(), notifyAfter, Date.now() / 1000)) {
            void show(notice);
          }
        }
      });
    };
    preferences.changed.connect(follow);
    void app.restored.then(follow);
  }
};

/** The run in a tab of its own; else the notebook it came from. */
async function open({ commands }: JupyterFrontEnd, { row, run, name }: Notice): Promise<void> {
  if (commands.hasCommand(CommandIDs.openRun)) {
    await commands.execute(CommandIDs.openRun, { workload: row.id, run, name });
    return;
  }
  const { id, path = '', file = '' } = row;
  const cell = row.runs?.find(one => one.id === run)?.cell ?? row.cell ?? '';
  await commands.execute(CommandIDs.openNotebook, { id, path, file, cell });
}
