// Last values by table and id, and what the ids mean. Panels read it; only frames write it.

import type { Frame, Table } from "./frame";

export type TableName = "underlying" | "expiry" | "strike" | "contract";
export type Row = Readonly<Record<string, number>>;

export interface Underlying {
  id: number;
  symbol: string;
  kind: string;
  exchange: string;
}

export interface Expiry {
  id: number;
  symbol: string;
  expiry: string;
}

export interface Strike extends Expiry {
  strike: number;
}

export interface Contract extends Strike {
  right: "CE" | "PE";
  lot_size_units: number | null;
}

export interface Catalogue {
  version: number;
  underlyings: Underlying[];
  expiries: Expiry[];
  strikes: Strike[];
  contracts: Contract[];
  iv_statuses: string[];
  forward_statuses: string[];
}

/** The feed's health and, beside it, how the server stands to the feed. */
export interface Health {
  state?: string;
  detail?: string | null;
  is_market_open?: boolean;
  connected_at_ms?: number | null;
  last_frame_at_ms?: number | null;
  token_expires_at_ms?: number | null;
  token_level?: "ok" | "warning" | "alarm";
  token_detail?: string;
  mode?: "hybrid" | "rest" | "shadow";
  fallback_since_ms?: number | null;
  subscribed?: number;
  never_seen?: number;
  frames?: number;
  unknown_frames?: number;
  ticks_received?: number;
  ticks_landed?: number;
  rows_waiting?: number;
  gaps?: number;
  database?: string;
  reconnects?: number;
  dropped_updates?: number;
  now_ms: number;
  upstream: {
    state: "connecting" | "connected" | "lost";
    since_ms: number | null;
    reconnects: number;
    last_error: string | null;
  };
}

/** Ids of the rows that changed since the last paint. */
export type Changes = Readonly<Record<TableName, ReadonlySet<number>>>;

const NAMES: readonly TableName[] = ["underlying", "expiry", "strike", "contract"];
const NOTHING: Row = {};
const INDEX_ORDER = ["NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX"];

export class Store {
  catalogue: Catalogue | null = null;
  private tables = blank<Map<number, Record<string, number>>>(() => new Map());
  private changed = blank<Set<number>>(() => new Set());
  private isResyncing = false;

  /** A new catalogue: the frame that follows holds every row, so the old ones make way for it. */
  learn(catalogue: Catalogue): void {
    this.catalogue = catalogue;
    this.isResyncing = true;
  }

  apply(frame: Frame): void {
    if (this.isResyncing) {
      this.tables = blank(() => new Map());
      this.isResyncing = false;
    }
    for (const table of frame.tables) {
      if (isKnown(table.name)) this.take(table.name, table);
    }
  }

  row(table: TableName, id: number): Row {
    return this.tables[table].get(id) ?? NOTHING;
  }

  /** What changed since the last call. */
  takeChanges(): Changes {
    const changes = this.changed;
    this.changed = blank(() => new Set());
    return changes;
  }

  /** Indices in the order that desks read them, then the others as the feed lists them. */
  get underlyings(): Underlying[] {
    const rank = (u: Underlying): number => {
      const at = INDEX_ORDER.indexOf(u.symbol);
      return u.kind !== "INDEX" ? Infinity : at < 0 ? INDEX_ORDER.length : at;
    };
    const known = this.catalogue?.underlyings ?? [];
    return [...known].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  }

  expiriesOf(symbol: string): Expiry[] {
    const found = this.catalogue?.expiries.filter((e) => e.symbol === symbol) ?? [];
    return found.sort((a, b) => (a.expiry < b.expiry ? -1 : 1));
  }

  underlying(symbol: string): Underlying | undefined {
    return this.catalogue?.underlyings.find((u) => u.symbol === symbol);
  }

  private take(name: TableName, table: Table): void {
    const rows = this.tables[name];
    for (let i = 0; i < table.ids.length; i++) {
      const id = table.ids[i]!;
      let row = rows.get(id);
      if (!row) rows.set(id, (row = {}));
      for (const [column, values] of table.columns) row[column] = values[i]!;
      this.changed[name].add(id);
    }
  }
}

function isKnown(name: string): name is TableName {
  return (NAMES as readonly string[]).includes(name);
}

function blank<T>(make: () => T): Record<TableName, T> {
  return { underlying: make(), expiry: make(), strike: make(), contract: make() };
}
