/** One field of a form: its label, what is typed, what it is for, and what is wrong with it. */

import { trans } from '../translation';
import type { StartField } from '../wire';
import { h } from './dom';

let made = 0;

/** A control and what is typed into it; `''` or nothing for what holds anyway. */
interface Control {
  readonly nodes: readonly HTMLElement[];
  readonly value: string | readonly string[];

  /** Show what holds where nothing is typed. */
  offer(standard: string): void;
}

/** A field of the form. */
export class FieldView {
  constructor(field: StartField) {
    made += 1;
    const id = `gpuw-field-${made}`;
    this.key = field.key;
    this.cluster = field.cluster === true;
    this._control = controlOf(field);
    this._help.id = `${id}-help`;
    this._error.id = `${id}-error`;
    const [first] = this._control.nodes;
    const label = document.createElement('label');
    label.textContent = field.label;
    if (first !== undefined) {
      first.id = id;
      label.htmlFor = id;
    }
    for (const node of this._control.nodes) {
      node.setAttribute('aria-describedby', `${this._help.id} ${this._error.id}`);
    }
    this._help.textContent = field.help;
    this._help.hidden = true;
    const controls = h('div', 'gpuw-FieldControls', ...this._control.nodes);
    this.node.append(label, controls, this._error, this._help);
    this.node.dataset.field = field.key;
    this.say('');
  }

  readonly node = h('div', 'gpuw-Field');
  readonly key: string;

  /** Whether it means something on a cluster only. */
  readonly cluster: boolean;

  get value(): string | readonly string[] {
    return this._control.value;
  }

  get wrong(): boolean {
    return !this._error.hidden;
  }

  /** Whether somebody types into it. */
  get active(): boolean {
    return this.node.contains(document.activeElement);
  }

  offer(standard: string): void {
    this._control.offer(standard);
  }

  /** Show what it is for, or no longer. */
  help(shown: boolean): void {
    this._help.hidden = !shown;
  }

  /** Say what is wrong with it; empty for nothing. */
  say(sentence: string): void {
    this._error.textContent = sentence;
    this._error.hidden = sentence === '';
    for (const node of this._control.nodes) {
      node.setAttribute('aria-invalid', String(sentence !== ''));
    }
  }

  focus(): void {
    this._control.nodes[0]?.focus();
  }

  private readonly _control: Control;
  private readonly _help = h('p', 'gpuw-FieldHelp');
  private readonly _error = h('p', 'gpuw-FieldError');
}

function controlOf(field: StartField): Control {
  if (field.key === 'gpus') {
    return new Gpus(field);
  }
  return field.many === true ? new Lines(field) : new Line(field);
}

/** What is typed in one line. */
class Line implements Control {
  constructor(field: StartField) {
    this._example = field.example ?? '';
    this.nodes = [this._input];
  }

  readonly nodes: readonly HTMLElement[];

  get value(): string {
    return this._input.value.trim();
  }

  offer(standard: string): void {
    this._input.placeholder = standard === '' ? exemplary(this._example) : standard;
  }

  private readonly _input = input();
  private readonly _example: string;
}

/** Several values, one on each line. */
class Lines implements Control {
  constructor(field: StartField) {
    this._example = field.example ?? '';
    this._area.rows = 2;
    this._area.spellcheck = false;
    this.nodes = [this._area];
  }

  readonly nodes: readonly HTMLElement[];

  get value(): readonly string[] {
    return this._area.value
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '');
  }

  offer(standard: string): void {
    this._area.placeholder =
      standard === '' ? exemplary(this._example) : trans.__("beside the profile's %1", standard);
  }

  private readonly _area = document.createElement('textarea');
  private readonly _example: string;
}

/** How many GPUs, and of which kind. */
class Gpus implements Control {
  constructor(field: StartField) {
    this._count.inputMode = 'numeric';
    this._count.classList.add('gpuw-Count');
    this._kind.setAttribute('aria-label', trans.__('%1: kind', field.label));
    this.nodes = [this._count, this._kind];
    if (field.choices != null && field.choices.length > 0) {
      const kinds = document.createElement('datalist');
      made += 1;
      kinds.id = `gpuw-kinds-${made}`;
      kinds.append(...field.choices.map(kind => new Option(kind, kind)));
      this._kind.setAttribute('list', kinds.id);
      this.nodes = [this._count, this._kind, kinds];
    }
  }

  readonly nodes: readonly HTMLElement[];

  get value(): string {
    const [count, kind] = [this._count.value.trim(), this._kind.value.trim()];
    if (count === '' && kind === '') {
      return '';
    }
    const wanted = kind === '' ? this._standardKind : kind;
    const many = count === '' ? this._count.placeholder : count;
    return wanted === '' ? many : `${wanted}:${many}`;
  }

  offer(standard: string): void {
    const place = standard.lastIndexOf(':');
    this._standardKind = place < 0 ? '' : standard.slice(0, place);
    this._count.placeholder = standard.slice(place + 1);
    this._kind.placeholder = this._standardKind === '' ? trans.__('any kind') : this._standardKind;
  }

  private readonly _count = input();
  private readonly _kind = input();
  private _standardKind = '';
}

/** A field with a choice of its own, which is always made. */
export class Choice {
  constructor(label: string, change: () => void) {
    made += 1;
    this.select.id = `gpuw-choice-${made}`;
    this.select.addEventListener('change', change);
    const words = document.createElement('label');
    words.textContent = label;
    words.htmlFor = this.select.id;
    this.node.append(words, h('div', 'gpuw-FieldControls', this.select));
  }

  readonly node = h('div', 'gpuw-Field');
  readonly select = document.createElement('select');

  /** Offer these, value and title; what was chosen stays chosen where it is among them. */
  offer(choices: readonly (readonly [string, string])[], standard: string): void {
    const before = this.select.value;
    this.select.replaceChildren(...choices.map(([value, title]) => new Option(title, value)));
    this.select.value = choices.some(([value]) => value === before) ? before : standard;
    this.node.hidden = choices.length < 2;
  }
}

function input(): HTMLInputElement {
  const node = document.createElement('input');
  node.type = 'text';
  node.autocomplete = 'off';
  node.spellcheck = false;
  return node;
}

function exemplary(example: string): string {
  return example === '' ? '' : trans.__('e.g. %1', example);
}
