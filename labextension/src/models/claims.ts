/** One of several tabs does what all of them have seen to be due. */

const PREFIX = 'gpu-workbench:claim:';
/** Milliseconds until a claim stands: all tabs are told within far less. */
const SETTLES = 100;
/** Milliseconds for which a tab that nobody looks at leaves it to the one that somebody does. */
const POLITE = 300;
const DAY = 24 * 3600 * 1000;

/** Claims of one tab, in what tabs of a browser share. */
export class Claims {
  /**
   * @param store What they share.
   * @param tab This one's name; no other has it.
   * @param looked Whether somebody looks at this one.
   */
  constructor(store: Storage, tab: string, looked: () => boolean) {
    this._store = store;
    this._tab = tab;
    this._looked = looked;
    this._forget();
  }

  /** Whether it is this tab that does it; the last to claim does, and who comes later does not. */
  async mine(what: string): Promise<boolean> {
    await pause(this._looked() ? 0 : POLITE);
    const name = PREFIX + what;
    try {
      if (this._store.getItem(name) !== null) {
        return false;
      }
      const claim = `${Date.now()} ${this._tab}`;
      this._store.setItem(name, claim);
      await pause(SETTLES);
      return this._store.getItem(name) === claim;
    } catch {
      return true; // nothing can be kept: better twice than never
    }
  }

  /** Claims of yesterday are of no use. */
  private _forget(): void {
    for (const name of Object.keys(this._store).filter(key => key.startsWith(PREFIX))) {
      const at = Number.parseInt(this._store.getItem(name) ?? '', 10);
      if (!(Date.now() - at < DAY)) {
        this._store.removeItem(name);
      }
    }
  }

  private readonly _store: Storage;
  private readonly _tab: string;
  private readonly _looked: () => boolean;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
