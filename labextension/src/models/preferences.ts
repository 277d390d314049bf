/** What the user prefers; the defaults until it is known. */

import { Signal } from '@lumino/signaling';

import type { IPreferences } from '../tokens';

/** Kept up to date by the settings. */
export class Preferences implements IPreferences {
  readonly changed: Signal<IPreferences, void> = new Signal<IPreferences, void>(this);
  notifications = true;
  notifyAfter = 120;
  toolbarButton = true;

  /** Take over the settings; what is none of ours or of another type is passed over. */
  take(found: Readonly<Record<string, unknown>>): void {
    const { notifications, notifyAfter, toolbarButton } = found;
    this.notifications = typeof notifications === 'boolean' ? notifications : true;
    this.notifyAfter = typeof notifyAfter === 'number' ? notifyAfter * 60 : 120;
    this.toolbarButton = typeof toolbarButton === 'boolean' ? toolbarButton : true;
    this.changed.emit();
  }
}
