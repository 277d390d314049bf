/** The names of our commands. */
export const CommandIDs = {
  runCell: 'gpu-workbench:run-cell',
  showRuns: 'gpu-workbench:show-runs',
  openCellRun: 'gpu-workbench:open-cell-run',
  stopCell: 'gpu-workbench:stop-cell',
  detachCell: 'gpu-workbench:detach-cell',
  openNotebook: 'gpu-workbench:open-notebook',
  attach: 'gpu-workbench:attach',
  /** Of other plugins, which may not be there. */
  openRun: 'gpu-workbench:open-run',
  newSession: 'gpu-workbench:new-session'
} as const;

/** Id of the panel. */
export const PANEL = 'gpu-workbench-runs';
