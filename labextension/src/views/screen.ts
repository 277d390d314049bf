/** What is on the screen, for only that is drawn; and when its colours or the screen's pixels have changed. */

/** What is told of an element. */
export interface Told {
  /** It has come onto the screen, or left it. */
  seen(is: boolean): void;

  /** The theme or the density of pixels has become another one; told when it is on the screen. */
  restyled?(): void;
}

/** How far beyond the edge counts as on the screen, so that nothing is drawn before one's eyes. */
const MARGIN = '200px';

interface Watched {
  readonly tell: Told;

  /** As of which look it was drawn. */
  look: number;
}

const watched = new WeakMap<Element, Watched>();
const onScreen = new Set<Element>();
let observer: IntersectionObserver | undefined;

/** Rises with each change of theme and density. */
let look = 0;

/** Be told of an element. What is taken out of the page has left the screen, and needs no more than that. */
export function watch(node: Element, tell: Told): void {
  observer ??= begun();
  watched.set(node, { tell, look });
  observer.observe(node);
}

/** Be told no more. */
export function unwatch(node: Element): void {
  observer?.unobserve(node);
  onScreen.delete(node);
  watched.delete(node);
}

function begun(): IntersectionObserver {
  const attributeFilter = ['data-jp-theme-name', 'data-jp-theme-light'];
  new MutationObserver(restyled).observe(document.body, { attributes: true, attributeFilter });
  window.matchMedia('(forced-colors: active)').addEventListener('change', restyled);
  watchDensity();
  return new IntersectionObserver(
    entries => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) {
          onScreen.add(target);
        } else {
          onScreen.delete(target);
        }
        watched.get(target)?.tell.seen(isIntersecting);
        if (isIntersecting) {
          redrawn(target);
        }
      }
    },
    // JupyterLab scrolls inside the page: its own box needs a margin, too
    { rootMargin: MARGIN, scrollMargin: MARGIN } as IntersectionObserverInit
  );
}

/** Each question is about one density: after a change the next one is asked. */
function watchDensity(): void {
  const same = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
  const changed = () => {
    same.removeEventListener('change', changed);
    watchDensity();
    restyled();
  };
  same.addEventListener('change', changed);
}

function restyled(): void {
  look += 1;
  onScreen.forEach(redrawn);
}

/** Have it drawn as things look now, unless it is so already. */
function redrawn(node: Element): void {
  const one = watched.get(node);
  if (one !== undefined && one.look !== look) {
    one.look = look;
    one.tell.restyled?.();
  }
}
