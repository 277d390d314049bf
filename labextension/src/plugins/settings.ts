/** What the user prefers. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Preferences } from '../models/preferences';
import { IPreferences } from '../tokens';

const ID = '@gpu-workbench/labextension:settings';

export const settings: JupyterFrontEndPlugin<IPreferences> = {
  id: ID,
  description: 'What the user prefers.',
  autoStart: true,
  provides: IPreferences,
  optional: [ISettingRegistry],
  activate: (_app: JupyterFrontEnd, registry: ISettingRegistry | null) => {
    const preferences = new Preferences();
    registry
      ?.load(ID)
      .then(found => {
        const take = () => {
          preferences.take(found.composite);
        };
        found.changed.connect(take);
        take();
      })
      .catch((error: unknown) => {
        console.warn('GPU Workbench: the settings cannot be read, so the defaults hold', error);
      });
    return preferences;
  }
};
