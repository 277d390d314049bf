import { Refused } from '../models/refused';
import { TestRuns } from '../testing';
import type { StartForm } from '../tokens';
import type { Started, StartField, StartOptions, StartPlan } from '../wire';
import { StartView } from './start';

const FIELDS: StartField[] = [
  { key: 'backend', label: 'Where', help: '' },
  { key: 'profile', label: 'Profile', help: '' },
  { key: 'session', label: 'Name', help: 'What it is called.', example: 'preprocessing' },
  { key: 'gpus', label: 'GPUs', help: 'GPUs per node.', choices: ['h200'] },
  { key: 'image', label: 'Image', help: '', cluster: true },
  { key: 'env', label: 'Environment variables', help: '', many: true, advanced: true }
];

/** A server that notes what it is asked for, and refuses what the test says. */
class Offering extends TestRuns {
  readonly forms: StartForm[] = [];
  refused: Refused | null = null;
  options: StartOptions = {
    target: 'local',
    fields: FIELDS,
    targets: [
      {
        name: 'local',
        title: 'This machine',
        profile: 'default',
        profiles: [
          { name: 'default', defaults: { gpus: '1' } },
          { name: 'big', defaults: { gpus: 'h200:8', env: 'TOKEN' } }
        ]
      },
      {
        name: 'kubernetes',
        title: 'Cluster',
        profile: 'default',
        profiles: [{ name: 'default', defaults: { gpus: '1', image: 'torch' } }]
      }
    ]
  };

  override startOptions(): Promise<StartOptions> {
    return Promise.resolve(this.options);
  }

  override planStart(form?: StartForm): Promise<StartPlan> {
    this.asked.push('plan');
    return this._answer(form, {
      words: 'Would start it',
      name: 'gpu-1',
      idle_limit: 3600,
      price: 12.8,
      currency: 'EUR'
    });
  }

  override start(form?: StartForm): Promise<Started> {
    this.asked.push('start');
    return this._answer(form, { id: 'abc', name: 'gpu-1', line: '%%gpu --session gpu-1' });
  }

  private _answer<T>(form: StartForm | undefined, answer: T): Promise<T> {
    this.forms.push(form ?? {});
    return this.refused === null ? Promise.resolve(answer) : Promise.reject(this.refused);
  }
}

let runs: Offering;
let view: StartView;
let opener: HTMLButtonElement;

const text = () => view.node.textContent;
const box = (label: string) => {
  const found = [...view.node.querySelectorAll('label')].find(one => one.textContent === label);
  return document.getElementById(found?.htmlFor ?? '') as HTMLInputElement;
};
const errorOf = (label: string) => {
  const ids = box(label).getAttribute('aria-describedby')?.split(' ') ?? [];
  return document.getElementById(ids[1] ?? '')?.textContent;
};
const press = (name: string) => {
  [...view.node.querySelectorAll('button')].find(one => one.textContent === name)?.click();
};
const type = (control: HTMLElement, value: string) => {
  (control as HTMLInputElement).value = value;
  control.dispatchEvent(new Event('input', { bubbles: true }));
};
const choose = (label: string, value: string) => {
  box(label).value = value;
  box(label).dispatchEvent(new Event('change', { bubbles: true }));
};

beforeEach(async () => {
  runs = new Offering();
  opener = document.createElement('button');
  view = new StartView(runs, { opener, folder: () => 'notebooks' });
  document.body.replaceChildren(opener, view.node);
  view.open();
  await vi.waitFor(() => {
    expect(text()).toContain('Would start it');
  });
});

it('shows what holds anyway, and says what it asks for', () => {
  expect(box('GPUs').placeholder).toBe('1');
  expect(box('Name').placeholder).toBe('gpu-1');
  expect(box('Environment variables').placeholder).toBe('');
  expect(text()).toContain('Ends by itself after 1 h 00 min without a running cell');
  expect(text()).toContain('12.80 EUR an hour');
  expect(runs.forms[0]).toEqual({ backend: 'local', profile: 'default', folder: 'notebooks' });
  expect(document.activeElement).toBe(box('Name'));
});

it('offers what belongs to the place and the profile', () => {
  expect(box('Image').closest<HTMLElement>('.gpuw-Field')?.hidden).toBe(true);
  choose('Profile', 'big');
  expect(box('GPUs').placeholder).toBe('8');
  choose('Where', 'kubernetes');
  expect(box('Image').closest<HTMLElement>('.gpuw-Field')?.hidden).toBe(false);
  expect(box('Image').placeholder).toBe('torch');
});

it('puts count and kind of GPUs together, and takes lines one by one', async () => {
  choose('Profile', 'big');
  type(box('GPUs'), '4');
  type(box('Environment variables'), 'A=1\n\n B=2 ');
  press('Start');
  await vi.waitFor(() => {
    expect(text()).toContain('%%gpu --session gpu-1');
  });
  expect(runs.forms.at(-1)).toMatchObject({ gpus: 'h200:4', env: ['A=1', 'B=2'], profile: 'big' });
});

it('asks once after somebody has typed', async () => {
  const before = runs.asked.length;
  for (const name of ['a', 'ab', 'abc']) {
    type(box('Name'), name);
  }
  await vi.waitFor(() => {
    expect(runs.forms.at(-1)).toMatchObject({ session: 'abc' });
  });
  expect(runs.asked.length).toBe(before + 1);
});

it('says what is wrong beside its field, and keeps what was typed', async () => {
  runs.refused = new Refused('No', { env: 'A is no variable', gpus: 'How many?' });
  type(box('GPUs'), 'some');
  press('Start');
  await vi.waitFor(() => {
    expect(errorOf('GPUs')).toBe('How many?');
  });
  expect(errorOf('Environment variables')).toBe('A is no variable');
  expect(box('GPUs').getAttribute('aria-invalid')).toBe('true');
  expect(box('GPUs').value).toBe('some');
  expect(document.activeElement).toBe(box('GPUs'));
  runs.refused = null;
  type(box('GPUs'), '2');
  await vi.waitFor(() => {
    expect(errorOf('GPUs')).toBe('');
  });
});

it('opens the folded fields where the only mistake is in them', async () => {
  runs.refused = new Refused('No', { env: 'A is no variable' });
  press('Start');
  await vi.waitFor(() => {
    expect(view.node.querySelector('details')?.open).toBe(true);
  });
  expect(document.activeElement).toBe(box('Environment variables'));
});

it('says what belongs to no field below them', async () => {
  runs.refused = new Refused('The cluster does not answer');
  press('Start');
  await vi.waitFor(() => {
    expect(view.node.querySelector('[role=alert]')?.textContent).toBe(
      'The cluster does not answer'
    );
  });
});

it('starts once, however often the button is pressed', () => {
  press('Start');
  press('Starting…');
  view.node.querySelector('form')?.requestSubmit();
  expect(runs.asked.filter(one => one === 'start')).toHaveLength(1);
});

it('closes on Escape, gives the focus back, and has what was typed when it is opened again', async () => {
  type(box('Name'), 'mine');
  box('Name').dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  expect(view.node.hidden).toBe(true);
  expect(document.activeElement).toBe(opener);
  view.open();
  await vi.waitFor(() => {
    expect(document.activeElement).toBe(box('Name'));
  });
  expect(box('Name').value).toBe('mine');
});

it('is closed by what opened it, and shows the form again after a session was started', async () => {
  view.toggle();
  expect(view.node.hidden).toBe(true);
  view.toggle();
  press('Start');
  await vi.waitFor(() => {
    expect(text()).toContain('%%gpu --session gpu-1');
  });
  view.toggle();
  expect(view.node.querySelector('form')).not.toBeNull();
});

it('keeps everything in its place under the pointer', () => {
  runs.refused = new Refused('No', { gpus: 'How many?' });
  box('GPUs').focus();
  const help = () =>
    document.getElementById(box('GPUs').getAttribute('aria-describedby')?.split(' ')[0] ?? '');
  expect(help()?.hidden).toBe(false);
  view.node.querySelector<HTMLElement>('[type=submit]')?.focus();
  expect(help()?.hidden).toBe(false);
  box('Name').focus();
  expect(help()?.hidden).toBe(true);
});

it.each(['<img src=x onerror=alert(1)>', '<script>alert(1)</script>'])(
  'shows %s as text',
  async bad => {
    runs.refused = new Refused(bad, { gpus: bad });
    press('Start');
    await vi.waitFor(() => {
      expect(errorOf('GPUs')).toBe(bad);
    });
    expect(view.node.querySelector('img, script')).toBeNull();
  }
);
