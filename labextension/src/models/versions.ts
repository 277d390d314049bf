/** Three versions that live in different places: this page's, its server's, and that of a notebook's kernel. */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { IVersions } from '../tokens';
import { trans } from '../translation';
import { PACKAGE, WIRE } from '../wire';

/** One end of the wire. */
export interface End {
  /** Of the package, e.g. `0.1.0`. */
  readonly version: string;

  /** Of what is said between page and server. */
  readonly wire: number;
}

/** The versions that were found; `null` where one is not known. */
export interface Found {
  readonly page: End;
  readonly server: End | null;
  readonly kernel: string | null;
}

/** What differs and whether it works, and what to do. */
export interface Difference {
  readonly what: string;
  readonly fix: string;
  readonly works: boolean;
}

/** What is to be said of these versions; `null` for nothing. Versions that differ in their last number only are alike. */
export function difference({ page, server, kernel }: Found): Difference | null {
  const ends = server === null ? null : between(page, server);
  return ends ?? (kernel === null ? null : kernels(kernel, (server ?? page).version));
}

function between(page: End, server: End): Difference | null {
  const works = page.wire === server.wire;
  const order = works ? compare(page.version, server.version) : page.wire - server.wire;
  if (order === 0) {
    return null;
  }
  const has = trans.__(
    'This page has gpu-workbench %1, its server %2',
    page.version,
    server.version
  );
  const they = works
    ? trans.__('They work together')
    : trans.__('They do not understand each other');
  return { what: `${has}. ${they}`, fix: works ? toHaveBoth(order) : toWork(order), works };
}

function toHaveBoth(order: number): string {
  return order < 0
    ? trans.__('Reload the page to have the newer one in both')
    : trans.__('Restart the Jupyter server to have the newer one in both');
}

function toWork(order: number): string {
  return order < 0 ? trans.__('Reload the page') : trans.__('Restart the Jupyter server');
}

function kernels(kernel: string, here: string): Difference | null {
  const order = compare(kernel, here);
  if (order === 0) {
    return null;
  }
  const upgrade = 'pip install --upgrade jupyter-gpu-workbench';
  const has = trans.__(
    "The notebook's kernel has gpu-workbench %1, this Jupyter server %2",
    kernel,
    here
  );
  const they =
    order > 0 ? trans.__('What is new in it is not shown here') : trans.__('They work together');
  return {
    what: `${has}. ${they}`,
    fix:
      order > 0
        ? trans.__("Update the server's: %1 in its environment, then restart it", `\`${upgrade}\``)
        : trans.__(
            "Update the kernel's: %1 in the notebook, then restart the kernel",
            `\`%${upgrade}\``
          ),
    works: true
  };
}

/** Above 0 where the first is newer, 0 where they are alike or one cannot be read. */
function compare(one: string, other: string): number {
  const [a, b] = [numbers(one), numbers(other)];
  return a === null || b === null ? 0 : a[0] - b[0] || a[1] - b[1];
}

function numbers(version: string): readonly [number, number] | null {
  const found = /^(\d{1,6})\.(\d{1,6})([.\w+-]{0,30})$/.exec(version);
  return found === null ? null : [Number(found[1]), Number(found[2])];
}

/** What was found so far. */
export class Versions implements IVersions {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get said(): string {
    const found = this.difference;
    return found === null ? '' : `${found.what}. ${found.fix}`;
  }

  /** The same, in parts. */
  get difference(): Difference | null {
    return difference({
      page: { version: PACKAGE, wire: WIRE },
      server: this._server,
      kernel: this._kernel
    });
  }

  saw(kernel: string): void {
    if (kernel !== this._kernel) {
      this._kernel = kernel;
      this._changed.emit();
    }
  }

  /** The server said who it is. */
  heard(server: End): void {
    this._server = server;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _server: End | null = null;
  private _kernel: string | null = null;
}
