/** Our icons, in the colours of the theme. */

import { LabIcon } from '@jupyterlab/ui-components';

const icon = (name: string, paths: string) =>
  new LabIcon({
    name: `gpu-workbench:${name}`,
    svgstr:
      '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
      `<g class="jp-icon3" fill="#616161">${paths}</g></svg>`
  });

/** Three bars on a board: a device at work. */
export const runsIcon = icon(
  'runs',
  '<path d="M3 5h18v14H3V5zm2 2v10h14V7H5z"/><path d="M7 13h2v3H7zM11 9h2v7h-2zM15 11h2v5h-2z"/>'
);

/** A triangle on a chip: run there. */
export const runCellIcon = icon(
  'run-cell',
  '<path d="M6 6h12v12H6V6zm2 2v8h8V8H8z"/><path d="M10 9l5 3-5 3z"/>' +
    '<path d="M8 2h2v3H8zM14 2h2v3h-2zM8 19h2v3H8zM14 19h2v3h-2z' +
    'M2 8h3v2H2zM2 14h3v2H2zM19 8h3v2h-3zM19 14h3v2h-3z"/>'
);
