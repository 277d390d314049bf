/** What can be done with a log: follow it, look for something, keep it as a file. */

import { trans } from '../translation';
import { button, h } from './dom';

/** What the bar asks for. */
export interface LogCommands {
  follow(on: boolean): void;

  /** Look for something; for nothing where it is empty. */
  look(query: string, exact: boolean): void;

  /** Go to the next line that has it, or to the one before. */
  step(forward: boolean): void;
}

/** The bar above a log. */
export class LogBar {
  /** @param file Where all of it is as a file. */
  constructor(commands: LogCommands, file: string) {
    this.node.setAttribute('role', 'toolbar');
    this.node.setAttribute('aria-label', trans.__('Log'));
    this._follow = toggle(trans.__('Follow'), trans.__('Stay at the end while lines come'), () => {
      commands.follow(this._follow.getAttribute('aria-pressed') !== 'true');
    });
    this._exact = toggle('Aa', trans.__('Capital and small letters differ'), () => {
      press(this._exact, this._exact.getAttribute('aria-pressed') !== 'true');
      look();
    });
    this._exact.setAttribute('aria-label', trans.__('Match case'));
    this._before = button('↑', trans.__('The one before (Shift+Enter)'), () => {
      commands.step(false);
    });
    this._before.setAttribute('aria-label', trans.__('Previous hit'));
    this._after = button('↓', trans.__('The next one (Enter)'), () => {
      commands.step(true);
    });
    this._after.setAttribute('aria-label', trans.__('Next hit'));
    const look = () => {
      commands.look(this._search.value, this._exact.getAttribute('aria-pressed') === 'true');
    };
    this._search.type = 'search';
    this._search.placeholder = trans.__('Search the log');
    this._search.setAttribute('aria-label', trans.__('Search the log'));
    this._search.addEventListener('input', look);
    this._search.addEventListener('keydown', event => {
      if (event.key === 'Enter') {
        event.preventDefault();
        commands.step(!event.shiftKey);
      }
    });
    this._count.setAttribute('role', 'status');
    const download = document.createElement('a');
    download.className = 'gpuw-Button';
    download.textContent = trans.__('Download');
    download.title = trans.__('All of it as a text file, without colours');
    download.href = file;
    download.setAttribute('download', '');
    this.node.append(
      h('div', 'gpuw-LogSearch', this._search, this._count, this._before, this._after, this._exact),
      this._lines,
      this._follow,
      download
    );
    this.showHits('', false);
  }

  readonly node = h('div', 'gpuw-LogBar');

  /** Go to the search field. */
  focusSearch(): void {
    this._search.focus();
    this._search.select();
  }

  /** How many lines there are, in words. */
  showLines(text: string): void {
    this._lines.textContent = text;
  }

  showFollow(on: boolean): void {
    press(this._follow, on);
  }

  /** What was found, in words, and whether one can go there. */
  showHits(text: string, some: boolean): void {
    if (this._count.textContent !== text) {
      this._count.textContent = text;
    }
    this._before.disabled = this._after.disabled = !some;
  }

  private readonly _search = document.createElement('input');
  private readonly _count = h('span', 'gpuw-Quiet');
  private readonly _lines = h('span', 'gpuw-Quiet gpuw-LogLines');
  private readonly _follow: HTMLButtonElement;
  private readonly _exact: HTMLButtonElement;
  private readonly _before: HTMLButtonElement;
  private readonly _after: HTMLButtonElement;
}

function toggle(label: string, title: string, act: () => void): HTMLButtonElement {
  const node = button(label, title, act);
  press(node, false);
  return node;
}

function press(node: HTMLButtonElement, on: boolean): void {
  node.setAttribute('aria-pressed', String(on));
}
