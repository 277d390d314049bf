/** The colours of drawings, as the theme has them. */

export interface Palette {
  readonly run: string;
  readonly wait: string;
  readonly text: string;
  readonly line: string;
}

/** Those of an element. Reading them makes the browser compute styles: once for a theme, not once for a chart. */
export function paletteOf(node: Element): Palette {
  const style = getComputedStyle(node);
  const of = (name: string) => style.getPropertyValue(`--gpuw-${name}`).trim() || style.color;
  return { run: of('run'), wait: of('wait'), text: style.color, line: of('line') };
}
