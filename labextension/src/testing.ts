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

const lacking = {
  DragEvent: class extends MouseEvent {},
  ResizeObserver: Observer,
  IntersectionObserver: Observer,
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
