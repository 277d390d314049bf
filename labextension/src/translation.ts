/** What is shown, in the language of the user. */

import { nullTranslator } from '@jupyterlab/translation';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';

const DOMAIN = 'gpu_workbench';

/**
 * Our sentences, in English until `useTranslator` was called.
 *
 * Ask it when something is shown, never while a module is loaded: the language is not known then. Code, such as
 * `%%gpu`, is handed in as a value, for it is the same in every language, and `%` has a meaning in what is translated.
 */
export let trans: TranslationBundle = nullTranslator.load(DOMAIN);

/** Have all that is shown from now on in its language; without one in English. */
export function useTranslator(translator: ITranslator | null): void {
  trans = (translator ?? nullTranslator).load(DOMAIN);
}
