// The fleet page's part of the address: everything that makes the view, so that a link shows the same.
import { parseKeys } from './columns.ts';

export interface FleetAddress {
  q: string;
  /** The server's sort name, `-` in front for the reverse; empty for its own order: problems first. */
  sort: string;
  view: 'table' | 'cards' | null;
  cols: string[] | null;
}

export function readAddress(search: string): FleetAddress {
  const params = new URLSearchParams(search);
  const view = params.get('view');
  return {
    q: params.get('q') ?? '',
    sort: params.get('sort') ?? '',
    view: view === 'cards' || view === 'table' ? view : null,
    cols: parseKeys(params.get('cols')),
  };
}

/** The search part of the address, `?` included; empty when all is as it is by default. */
export function writeAddress(address: FleetAddress): string {
  const params = new URLSearchParams();
  if (address.q !== '') params.set('q', address.q);
  if (address.sort !== '') params.set('sort', address.sort);
  if (address.view !== null) params.set('view', address.view);
  if (address.cols !== null) params.set('cols', address.cols.join(','));
  // Colons and commas may stand in a query as they are, and the address stays readable.
  const text = params.toString().replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%2F', '/');
  return text === '' ? '' : `?${text}`;
}
