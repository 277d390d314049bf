/** The form that starts a session. What holds anyway stands in its fields; below them, what it asks for as it stands. */

import type { IRuns, StartForm } from '../tokens';
import { LOAD_LINE } from '../models/magic';
import { Refused } from '../models/refused';
import { trans } from '../translation';
import type { Started, StartOptions, StartPlan } from '../wire';
import { around, button, h } from './dom';
import { Choice, FieldView } from './field';
import { about } from './format';

/** Milliseconds without a key after which it is asked what the form asks for. */
const SETTLED = 300;

/** Keys with a control of their own. */
const CHOICES: readonly string[] = ['backend', 'profile'];

/** What the form needs to know of the page around it. */
export interface Around {
  /** What opens it, and has the focus again when it is closed. */
  readonly opener: HTMLElement;

  /** The folder of the notebook that is worked in, below the one that the server serves. */
  folder(): string;
}

/** The form. It is empty until it is opened. */
export class StartView {
  constructor(runs: Pick<IRuns, 'startOptions' | 'planStart' | 'start'>, around: Around) {
    this._runs = runs;
    this._around = around;
    this.node.hidden = true;
    this.node.dataset.lmSuppressShortcuts = 'true';
    this.node.setAttribute('aria-label', trans.__('New session'));
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        this.close();
      }
    });
    this._form.noValidate = true;
    this._form.addEventListener('submit', event => {
      event.preventDefault();
      void this._start();
    });
    this._form.addEventListener('input', () => {
      this._plan();
    });
    this._form.addEventListener('focusin', event => {
      this._entered(event.target);
    });
    this._submit.type = 'submit';
    this._submit.classList.add('gpuw-Primary');
    this._planned.setAttribute('aria-live', 'polite');
    this._refused.setAttribute('role', 'alert');
    this._more.append(h('summary', '', trans.__('More')), this._folded);
    const cancel = button(trans.__('Cancel'), trans.__('Close, and keep what was typed'), () => {
      this.close();
    });
    this._form.append(
      h('h3', 'gpuw-Group', trans.__('New session')),
      this._target.node,
      this._profile.node,
      this._plain,
      this._more,
      this._planned,
      this._refused,
      h('div', 'gpuw-FormButtons', this._submit, cancel)
    );
    this._around.opener.setAttribute('aria-expanded', 'false');
  }

  readonly node = h('section', 'gpuw-Start');

  /** Show it, with what was typed into it before. */
  open(): void {
    this.node.hidden = false;
    this._around.opener.setAttribute('aria-expanded', 'true');
    this.node.replaceChildren(this._form);
    this._say('');
    void this._offer();
  }

  /** Close it where it is open; what was started may have been read, and another one is wanted. */
  toggle(): void {
    if (this.node.hidden || !this.node.contains(this._form)) {
      this.open();
    } else {
      this.close();
    }
  }

  close(): void {
    window.clearTimeout(this._timer);
    this.node.hidden = true;
    this._around.opener.setAttribute('aria-expanded', 'false');
    this._around.opener.focus();
  }

  /** Ask what can be chosen: profiles may have changed since. */
  private async _offer(): Promise<void> {
    try {
      this._options = await this._runs.startOptions();
    } catch (error) {
      this._say(sentence(error));
      return;
    }
    if (this._fields.length === 0) {
      this._make(this._options);
    }
    this._target.offer(
      this._options.targets.map(({ name, title }) => [name, title] as const),
      this._options.target
    );
    this._chosen();
    this._fields[0]?.focus();
  }

  private _make(options: StartOptions): void {
    for (const field of options.fields.filter(({ key }) => !CHOICES.includes(key))) {
      const view = new FieldView(field);
      this._fields.push(view);
      (field.advanced === true ? this._folded : this._plain).append(view.node);
    }
  }

  /** Another place or profile was chosen: other fields, and other values that hold anyway. */
  private readonly _chosen = (): void => {
    const target = this._options?.targets.find(({ name }) => name === this._target.select.value);
    if (target === undefined) {
      return;
    }
    this._profile.offer(
      target.profiles.map(({ name }) => [name, name] as const),
      target.profile
    );
    const profile = target.profiles.find(({ name }) => name === this._profile.select.value);
    for (const field of this._fields) {
      field.node.hidden = field.cluster && target.name === 'local';
      const standard = field.key === 'folder' ? this._around.folder() : '';
      field.offer(profile?.defaults[field.key] ?? standard);
    }
    this._plan(0);
  };

  /** What the form says, without what is empty or not on the screen. */
  private get _typed(): StartForm {
    const found: Record<string, string | readonly string[]> = {
      backend: this._target.select.value,
      profile: this._profile.select.value,
      folder: this._around.folder()
    };
    for (const { key, value, node } of this._fields) {
      if (!node.hidden && value.length > 0) {
        found[key] = value;
      }
    }
    return found;
  }

  private _plan(wait = SETTLED): void {
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._ask(), wait);
  }

  private async _ask(): Promise<void> {
    this._asked += 1;
    const asked = this._asked;
    try {
      const plan = await this._runs.planStart(this._typed);
      if (asked === this._asked) {
        this._take({}, '');
        this._fields.find(({ key }) => key === 'session')?.offer(plan.name);
        this._show(plan);
      }
    } catch (error) {
      if (asked === this._asked) {
        this._planned.replaceChildren();
        this._take(fieldsOf(error), sentence(error));
      }
    }
  }

  private _show(plan: StartPlan): void {
    const lines = [
      plan.words,
      plan.note ?? '',
      trans.__('Ends by itself after %1 without a running cell', about(plan.idle_limit)),
      plan.price == null
        ? ''
        : trans.__('%1 %2 an hour', plan.price.toFixed(2), plan.currency ?? '')
    ];
    this._planned.replaceChildren(...lines.filter(Boolean).map(line => h('div', '', line)));
  }

  /**
   * Somebody types into another field: that one's help, and what is wrong in the one before.
   *
   * Nothing happens where a button has the focus now: what is pressed must not move away under the pointer.
   */
  private _entered(target: EventTarget | null): void {
    const entered = this._fields.find(
      ({ node }) => target instanceof Node && node.contains(target)
    );
    if (entered !== undefined) {
      for (const field of this._fields) {
        field.help(field === entered);
      }
      this._point();
    }
  }

  /** Remember what is wrong, and say what belongs to no field. */
  private _take(wrong: Readonly<Record<string, string>>, otherwise: string): void {
    this._wrong = wrong;
    const known = this._fields.some(({ key }) => wrong[key] !== undefined);
    this._say(known ? '' : otherwise);
    this._point();
  }

  /** Say it beside each field; of the one that is typed into only what is no longer wrong. */
  private _point(everywhere = false): void {
    for (const field of this._fields) {
      const wrong = this._wrong[field.key] ?? '';
      if (wrong === '' || field.wrong || !field.active || everywhere) {
        field.say(wrong);
      }
    }
  }

  private _say(text: string): void {
    this._refused.textContent = text;
    this._refused.hidden = text === '';
  }

  private async _start(): Promise<void> {
    if (this._submit.disabled) {
      return;
    }
    window.clearTimeout(this._timer);
    this._asked += 1; // what is still under way is not of interest any more
    this._busy(true);
    try {
      this._done(await this._runs.start(this._typed));
    } catch (error) {
      this._planned.replaceChildren();
      this._take(fieldsOf(error), sentence(error));
      this._point(true);
      const first = this._fields.find(({ wrong }) => wrong);
      if (first !== undefined && this._folded.contains(first.node)) {
        this._more.open = true;
      }
      first?.focus();
    } finally {
      this._busy(false);
    }
  }

  private _busy(busy: boolean): void {
    this._submit.disabled = busy;
    this._submit.textContent = busy ? trans.__('Starting…') : trans.__('Start');
    this._form.setAttribute('aria-busy', String(busy));
  }

  private _done(started: Started): void {
    this._form.reset();
    this._more.open = false;
    const line = h('code', 'gpuw-Line', started.line);
    const copy = button(
      trans.__('Copy'),
      trans.__('Copy the line'),
      () => void this._copy(started.line, line, copy)
    );
    const close = button(trans.__('Close'), '', () => {
      this.close();
    });
    this.node.replaceChildren(
      h('h3', 'gpuw-Group', trans.__('New session')),
      h(
        'p',
        '',
        ...around(
          trans.__('%1 was started. To run a cell there, begin it with', '%1'),
          h('strong', '', started.name)
        )
      ),
      h('div', 'gpuw-CopyLine', line, copy),
      h(
        'p',
        'gpuw-Quiet',
        ...around(trans.__('In a notebook that has run %1', '%1'), h('code', '', LOAD_LINE))
      ),
      h('div', 'gpuw-FormButtons', close)
    );
    copy.focus();
  }

  private async _copy(text: string, line: HTMLElement, copy: HTMLElement): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = trans.__('Copied');
    } catch {
      getSelection()?.selectAllChildren(line); // pages that are not served safely have no clipboard
    }
  }

  private readonly _runs: Pick<IRuns, 'startOptions' | 'planStart' | 'start'>;
  private readonly _around: Around;
  private readonly _form = document.createElement('form');
  private readonly _target = new Choice(trans.__('Where'), () => {
    this._chosen();
  });
  private readonly _profile = new Choice(trans.__('Profile'), () => {
    this._chosen();
  });
  private readonly _plain = h('div', 'gpuw-Fields');
  private readonly _folded = h('div', 'gpuw-Fields');
  private readonly _more = document.createElement('details');
  private readonly _planned = h('div', 'gpuw-Planned');
  private readonly _refused = h('p', 'gpuw-FieldError');
  private readonly _submit = button(trans.__('Start'), '', () => undefined);
  private readonly _fields: FieldView[] = [];
  private _options: StartOptions | null = null;
  private _wrong: Readonly<Record<string, string>> = {};
  private _timer = 0;
  private _asked = 0;
}

function fieldsOf(error: unknown): Readonly<Record<string, string>> {
  return error instanceof Refused ? error.fields : {};
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
