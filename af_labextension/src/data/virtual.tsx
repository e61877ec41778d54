import * as React from 'react';

import type { IEntry } from '../tokens';
import { typeAhead } from './listing';
import type { Listing } from './stream';
import { reveal, windowOf } from './window';

/** Typing after a pause of this many milliseconds begins a new word. */
const TYPING_PAUSE = 800;

/** What a row needs to know to draw itself. */
export interface IRowPlace {
  readonly id: string;
  readonly index: number;
  readonly count: number;
  readonly current: boolean;
  /** Pixels from the top of the list. */
  readonly top: number;
}

export interface IVirtualListProps<T extends IEntry> {
  readonly listing: Listing<T>;
  /** Pixels of a row; the style sheet says the same. */
  readonly rowHeight: number;
  readonly label: string;
  /** Changes when another list is shown. */
  readonly place: string;
  readonly draw: (row: T, place: IRowPlace) => JSX.Element;
  /** Do what a key asks for, other than moving; true if it meant something. */
  readonly onKey: (event: React.KeyboardEvent, row: T | null) => boolean;
  /** Told which rows are in sight. */
  readonly onSight?: (first: number, last: number) => void;
}

/** A long list; only the rows in sight are in the page. */
export function VirtualList<T extends IEntry>(
  props: IVirtualListProps<T>
): JSX.Element {
  const { listing, rowHeight, place, onSight } = props;
  const { view, current } = listing;
  const box = React.useRef<HTMLDivElement>(null);
  const [top, setTop] = React.useState(0);
  const height = useHeight(box);
  const typed = React.useRef({ text: '', at: 0 });

  React.useEffect(() => {
    // a new list begins at its top, one come back to where it was left
    box.current?.scrollTo({ top: listing.top });
  }, [listing, place]);
  React.useEffect(() => {
    if (box.current && current >= 0) {
      box.current.scrollTop = reveal(
        current,
        box.current.scrollTop,
        box.current.clientHeight,
        rowHeight
      );
    }
  }, [current, place]);

  const { first, last } = windowOf(top, height, rowHeight, view.length);
  React.useEffect(() => {
    onSight?.(first, last);
  }, [first, last, view, place, current]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== event.currentTarget) {
      return;
    }
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    if (
      moved(event, listing, page) ||
      props.onKey(event, listing.currentRow) ||
      found(event, listing, typed.current)
    ) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  return (
    <div
      ref={box}
      className="af-list"
      data-af="list"
      data-count={view.length}
      data-state={listing.loading}
      role="listbox"
      aria-label={props.label}
      aria-busy={listing.loading === 'loading'}
      aria-activedescendant={current >= 0 ? rowId(current) : undefined}
      tabIndex={0}
      onScroll={event => {
        listing.top = event.currentTarget.scrollTop;
        setTop(listing.top);
      }}
      onKeyDown={onKeyDown}
    >
      <div className="af-list-size" style={{ height: view.length * rowHeight }}>
        {view.slice(first, last).map((row, offset) => (
          <React.Fragment key={listing.keyOf(row)}>
            {props.draw(row, {
              id: rowId(first + offset),
              index: first + offset,
              count: view.length,
              current: first + offset === current,
              top: (first + offset) * rowHeight
            })}
          </React.Fragment>
        ))}
      </div>
    </div>
  );
}

/** What every row says of its place, to the page and to screen readers. */
export function placed(place: IRowPlace): React.HTMLAttributes<HTMLElement> {
  return {
    id: place.id,
    role: 'option',
    'aria-selected': place.current,
    'aria-posinset': place.index + 1,
    'aria-setsize': place.count,
    style: { top: place.top }
  };
}

function moved<T extends IEntry>(
  event: React.KeyboardEvent,
  listing: Listing<T>,
  page: number
): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  }
  const { current } = listing;
  const moves: Record<string, number> = {
    ArrowDown: current + 1,
    ArrowUp: Math.max(current - 1, 0),
    PageDown: current + page,
    PageUp: Math.max(current - page, 0),
    Home: 0,
    End: listing.view.length - 1
  };
  const target = moves[event.key];
  if (target === undefined) {
    return false;
  }
  listing.moveTo(target);
  return true;
}

/** Go to the next row whose name begins with what was typed. */
function found<T extends IEntry>(
  event: React.KeyboardEvent,
  listing: Listing<T>,
  typed: { text: string; at: number }
): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key.length > 1) {
    return false;
  }
  const now = performance.now();
  const goesOn = now - typed.at < TYPING_PAUSE;
  typed.text = goesOn ? typed.text + event.key : event.key;
  typed.at = now;
  const from = goesOn ? listing.current : listing.current + 1;
  const index = typeAhead(listing.view, typed.text, from);
  if (index >= 0) {
    listing.moveTo(index);
  }
  return true;
}

function useHeight(box: React.RefObject<HTMLElement>): number {
  const [height, setHeight] = React.useState(0);
  React.useLayoutEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    const observer = new ResizeObserver(() => setHeight(node.clientHeight));
    observer.observe(node);
    setHeight(node.clientHeight);
    return () => observer.disconnect();
  }, [box]);
  return height;
}

function rowId(index: number): string {
  return `af-row-${index}`;
}
