import { ServerConnection } from '@jupyterlab/services';

import { PACKAGE, WIRE } from '../wire';
import { Refused } from './refused';
import { Runs } from './runs';

/** A socket that never opens. */
class Socket {
  static made = 0;
  readyState = 0;

  constructor() {
    Socket.made += 1;
  }

  close(): void {
    return;
  }
}

/** Runs on a server that answers this to whatever it is asked. */
async function runsOn(status: number, body: unknown): Promise<Runs> {
  Socket.made = 0;
  const made = new Runs(
    ServerConnection.makeSettings({
      baseUrl: 'http://server/',
      wsUrl: 'ws://server/',
      WebSocket: Socket as unknown as typeof WebSocket,
      fetch: () => Promise.resolve(new Response(JSON.stringify(body), { status }))
    })
  );
  await vi.waitFor(() => {
    expect(made.connection.state !== 'connecting' || Socket.made > 0).toBe(true);
  });
  return made;
}

const HELLO = { version: PACKAGE, wire: WIRE, may: { act: true, start: true } };

let runs: Runs;

afterEach(() => {
  runs.dispose();
});

it('connects to a server of its own version, and knows what may be done there', async () => {
  runs = await runsOn(200, HELLO);
  expect([runs.mayAct, runs.mayStart, runs.versions.said]).toEqual([true, true, '']);
  expect(Socket.made).toBe(1);
});

it('may do nothing where the server does not say so', async () => {
  runs = await runsOn(200, { version: PACKAGE, wire: WIRE });
  expect([runs.mayAct, runs.mayStart]).toEqual([false, false]);
});

it('connects to no server that it does not understand, and says what to do', async () => {
  runs = await runsOn(200, { ...HELLO, version: '9.1.0', wire: WIRE + 1 });
  expect(Socket.made).toBe(0);
  expect([runs.mayAct, runs.mayStart]).toEqual([false, false]);
  expect(runs.connection).toEqual({
    state: 'missing',
    why: `This page has gpu-workbench ${PACKAGE}, its server 9.1.0. They do not understand each other`,
    fix: 'Reload the page'
  });
});

it('says how to enable an extension that is not there', async () => {
  runs = await runsOn(404, {});
  expect(runs.connection).toEqual({
    state: 'missing',
    why: 'The Jupyter server has no extension of GPU Workbench',
    fix: 'Run `jupyter server extension enable gpu_workbench` and restart it'
  });
});

it('gives the sentences of a form that was refused', async () => {
  runs = await runsOn(400, {
    message: 'No',
    why: 'so it is',
    fix: 'Do better',
    fields: { gpus: 'How many?' }
  });
  const error = await runs.start({}).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(Refused);
  expect(error).toMatchObject({
    message: 'No: so it is. Do better',
    fields: { gpus: 'How many?' }
  });
});

it('knows the way to a dashboard below the base URL of its server', async () => {
  runs = await runsOn(200, HELLO);
  expect(runs.dashboard('abc-1', 'kubernetes')).toBe(
    'http://server/gpu-workbench/dask/kubernetes/abc-1/status'
  );
  expect(runs.dashboard('../x', 'a b')).toBe(
    'http://server/gpu-workbench/dask/a%20b/..%2Fx/status'
  );
});
