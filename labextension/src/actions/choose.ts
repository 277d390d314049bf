/** Asks which run is meant. */

import { InputDialog, Notification } from '@jupyterlab/apputils';

import { first } from '../models/first';
import { groupsOf } from '../models/listing';
import { nameOf } from '../models/runlist';
import type { IRuns } from '../tokens';
import { trans } from '../translation';
import type { Row } from '../wire';

/** One of the user's runs, what goes on first; `null` where none is chosen. */
export async function chooseRun(runs: IRuns): Promise<Row | null> {
  const known = await first<ReadonlyMap<string, Row>>(listener => runs.followAll(listener));
  if (known.kind !== 'value' || known.value.size === 0) {
    Notification.info(known.kind === 'error' ? known.message : trans.__('Nothing has run yet'));
    return null;
  }
  const all = { word: '', filters: new Set<never>(), notebook: '', only: null };
  const rows = groupsOf(known.value.values(), all, new Date()).flatMap(group => group.rows);
  const items = rows.map(row =>
    [nameOf(row), row.word, row.file, row.id].filter(Boolean).join(' · ')
  );
  const chosen = await InputDialog.getItem({
    title: trans.__('Attach which run?'),
    label: trans.__('It is shown from its beginning'),
    items,
    okLabel: trans.__('Attach')
  });
  return rows[items.indexOf(chosen.value ?? '')] ?? null;
}
