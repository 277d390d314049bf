/** What jsdom lacks. */

HTMLCanvasElement.prototype.getContext = () => null;

if (!('DragEvent' in globalThis)) {
  Object.assign(globalThis, { DragEvent: class extends MouseEvent {} });
}
