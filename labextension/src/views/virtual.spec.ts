import { VirtualList } from './virtual';

/** A list of words, each 20 pixels high; small ones are headings. */
function list(): VirtualList<string> {
  const made = new VirtualList<string>({
    key: item => item,
    height: () => 20,
    focusable: item => item === item.toUpperCase(),
    make: () => {
      const node = document.createElement('button');
      return {
        node,
        show: item => {
          node.textContent = item;
        },
        reach: current => {
          node.tabIndex = current ? 0 : -1;
        },
        focus: () => {
          node.focus();
        }
      };
    }
  });
  document.body.append(made.node);
  return made;
}

const texts = (made: VirtualList<string>) =>
  [...made.node.querySelectorAll('button')].map(node => node.textContent);

it('has its items in the page in their order, also after they moved around one with the focus', () => {
  const made = list();
  made.show(['h', 'A', 'B', 'C']);
  const b = made.node.querySelectorAll('button')[2];
  b?.focus();
  made.show(['C', 'B', 'A', 'D', 'h']);
  expect(texts(made)).toEqual(['C', 'B', 'A', 'D', 'h']);
  expect(document.activeElement).toBe(b);
  made.show(['A', 'D', 'B']);
  expect(texts(made)).toEqual(['A', 'D', 'B']);
  expect(document.activeElement).toBe(b);
});

it('keeps what has the focus in the page, however far one scrolls', () => {
  const made = list();
  made.show(Array.from({ length: 500 }, (_, place) => `I${place}`));
  made.node.querySelector('button')?.focus();
  made.node.scrollTop = 5000;
  made.node.dispatchEvent(new Event('scroll'));
  expect(texts(made)[0]).toBe('I0');
  expect(texts(made)[1]).toBe('I235');
});

it('has a place for Tab also when what had it is gone', () => {
  const made = list();
  made.show(['h', 'A', 'B']);
  made.show(['h', 'B']);
  const reached = [...made.node.querySelectorAll('button')].filter(node => node.tabIndex === 0);
  expect(reached.map(node => node.textContent)).toEqual(['B']);
});
