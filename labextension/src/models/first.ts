/** One look at what is else followed. */

import type { IDisposable } from '@lumino/disposable';

import type { Known, Listener } from '../tokens';

/** What is known of a topic now, as soon as anything is; it is followed no longer. */
export function first<T>(follow: (listener: Listener<T>) => IDisposable): Promise<Known<T>> {
  return new Promise(resolve => {
    const following = follow(known => {
      if (known.kind !== 'waiting') {
        resolve(known);
        queueMicrotask(() => {
          following.dispose();
        });
      }
    });
  });
}
