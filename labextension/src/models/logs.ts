/** Logs from the server, page by page. */

import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import type { LogPage } from '../wire';
import { BASE, checked, request } from './requests';

/** Gives pages of logs. */
export interface ILogs {
  /**
   * What a workload, or one run in it, has written after a place.
   *
   * Rejects with the server's own sentence.
   *
   * @param cursor The place, as the page before gave it; empty for the beginning.
   * @param rank Which rank has written it.
   */
  page(workload: string, run: string, cursor: string, rank?: number): Promise<LogPage>;

  /** Where all of it is as a file. */
  file(workload: string, run: string, rank?: number): string;
}

/** Logs from the server's extension. */
export class Logs implements ILogs {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
  }

  async page(workload: string, run: string, cursor: string, rank = 0): Promise<LogPage> {
    const path = `${pathOf(workload)}${query({ run, from: cursor, rank: word(rank) })}`;
    return (await (await checked(await request(this._settings, path))).json()) as LogPage;
  }

  file(workload: string, run: string, rank = 0): string {
    const path = URLExt.join(this._settings.baseUrl, BASE, pathOf(workload), 'download');
    const { appendToken, token } = this._settings;
    return `${path}${query({ run, rank: word(rank), token: appendToken ? token : '' })}`;
  }

  private readonly _settings: ServerConnection.ISettings;
}

function pathOf(workload: string): string {
  return `runs/${encodeURIComponent(workload)}/log`;
}

/** Rank 0's log is the workload's own. */
function word(rank: number): string {
  return rank === 0 ? '' : String(rank);
}

function query(members: Readonly<Record<string, string>>): string {
  const given = Object.entries(members).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}
