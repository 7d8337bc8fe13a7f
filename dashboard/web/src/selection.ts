// The symbol and expiry on show: kept in the address, so that it can be linked and reloaded.

import type { Store } from "./store";

export interface Choice {
  symbol: string;
  expiry: string;
}

export class Selection {
  current: Choice | null;
  private readonly listeners: ((choice: Choice) => void)[] = [];

  constructor(private readonly store: Store) {
    this.current = parse(location.hash);
    addEventListener("hashchange", () => {
      const choice = parse(location.hash);
      if (choice) this.choose(choice.symbol, choice.expiry);
    });
  }

  onChange(listener: (choice: Choice) => void): void {
    this.listeners.push(listener);
  }

  /** Hold the choice against what exists: an expired or unknown one moves to the nearest. */
  settle(): void {
    const known = this.store.underlyings;
    const symbol = this.current?.symbol ?? "";
    const chosen = known.find((u) => u.symbol === symbol) ?? known[0];
    if (chosen) this.choose(chosen.symbol, this.current?.expiry);
  }

  choose(symbol: string, expiry?: string): void {
    const dates = this.store.expiriesOf(symbol).map((e) => e.expiry);
    const date = expiry && dates.includes(expiry) ? expiry : dates[0];
    if (!date) return;
    if (this.current?.symbol === symbol && this.current.expiry === date && this.isShown) return;
    this.isShown = true;
    this.current = { symbol, expiry: date };
    const hash = `#${encodeURIComponent(symbol)}/${date}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
    for (const listener of this.listeners) listener(this.current);
  }

  step(by: number): void {
    if (!this.current) return;
    const dates = this.store.expiriesOf(this.current.symbol).map((e) => e.expiry);
    const next = dates[dates.indexOf(this.current.expiry) + by];
    if (next) this.choose(this.current.symbol, next);
  }

  private isShown = false;
}

/** `#NIFTY/2026-12-01`, or `#NIFTY` for the nearest expiry. */
export function parse(hash: string): Choice | null {
  const found = /^#([^/]+)(?:\/(\d{4}-\d\d-\d\d))?$/.exec(hash);
  if (!found) return null;
  try {
    return { symbol: decodeURIComponent(found[1]!), expiry: found[2] ?? "" };
  } catch {
    return null;
  }
}
