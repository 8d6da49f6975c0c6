// Where the page is: the History API below the document's base.
import { pathOfJob, type Route, routeOf, type Tab } from './address.ts';

class Router {
  readonly base = new URL(document.baseURI);
  path = $state(location.pathname);
  search = $state(location.search);
  route: Route = $derived(routeOf(this.path, this.base.pathname));

  constructor() {
    window.addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#click(event));
  }

  /** An address below the base, as an href. */
  href(path: string): string {
    return new URL(path === '' ? './' : path, this.base).href;
  }

  jobHref(key: { namespace: string; kind: string; name: string }, tab?: Tab): string {
    return this.href(pathOfJob(key, tab));
  }

  go(href: string, how: 'push' | 'replace' = 'push'): void {
    const url = new URL(href, this.base);
    if (how === 'push') history.pushState(null, '', url);
    else history.replaceState(history.state, '', url);
    this.#read();
  }

  #read(): void {
    const moved = this.path !== location.pathname;
    this.path = location.pathname;
    this.search = location.search;
    if (moved) window.scrollTo(0, 0);
  }

  /** Plain clicks on links to pages of this dashboard do not leave it. */
  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    const url = new URL(link.href);
    if (url.hash && url.pathname === location.pathname && url.search === location.search) return;
    if (url.pathname.startsWith(`${this.base.pathname}api/`) || routeOf(url.pathname, this.base.pathname).page === 'unknown') return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const router = new Router();
