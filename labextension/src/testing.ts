/** What jsdom lacks. */

HTMLCanvasElement.prototype.getContext = () => null;

/** Watches nothing. */
class Observer {
  observe(): void {
    return;
  }

  unobserve(): void {
    return;
  }

  disconnect(): void {
    return;
  }
}

type Told = (entries: readonly { target: Element; isIntersecting: boolean }[]) => void;

/** All of them, however often this module is loaded. */
const looking = ((globalThis as Record<string, unknown>).looking ??= new Map()) as Map<
  Observer,
  { told: Told; nodes: Set<Element> }
>;

/** Tells what `see` says is on the screen. */
class Looking extends Observer {
  constructor(told: Told) {
    super();
    looking.set(this, { told, nodes: new Set() });
  }

  override observe(node?: Element): void {
    if (node !== undefined) {
      looking.get(this)?.nodes.add(node);
    }
  }
}

/** Say that an element has come onto the screen, or has left it. */
export function see(target: Element, isIntersecting: boolean): void {
  for (const { told, nodes } of looking.values()) {
    if (nodes.has(target)) {
      told([{ target, isIntersecting }]);
    }
  }
}

const lacking = {
  DragEvent: class extends MouseEvent {},
  ResizeObserver: Observer,
  IntersectionObserver: Looking,
  matchMedia: (media: string) => ({
    media,
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    addListener: () => undefined,
    removeListener: () => undefined
  })
};

for (const [name, value] of Object.entries(lacking)) {
  if ((window as unknown as Record<string, unknown>)[name] === undefined) {
    Object.assign(window, { [name]: value });
    Object.assign(globalThis, { [name]: value });
  }
}
