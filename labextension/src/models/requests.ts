/** What is asked of the server's extension once. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { refusal } from './refused';

export const BASE = 'gpu-workbench/api';

/** Ask the server. */
export function request(
  settings: ServerConnection.ISettings,
  path: string,
  init: RequestInit = {}
): Promise<Response> {
  return ServerConnection.makeRequest(URLExt.join(settings.baseUrl, BASE, path), init, settings);
}

/** The answer, if it is one; else an error with the server's own sentence. */
export async function checked(reply: Response): Promise<Response> {
  if (!reply.ok) {
    throw refusal(await reply.json().catch(() => null), reply.status);
  }
  return reply;
}
