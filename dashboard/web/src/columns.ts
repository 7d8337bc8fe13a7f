// The option chain's columns, from the edge of the table to the strike; puts mirror calls.

import * as format from "./format";
import type { Scale } from "./freshness";

export interface Column {
  field: string;
  label: string;
  title: string;
  format: (value: number | undefined) => string;
  /** The column with the instant that the value describes. */
  at: string;
  scale: Scale;
  /** Why it can be missing, where no status tells. */
  missing: string;
  /** Left out on a narrow screen. */
  isWide?: true;
}

export const COLUMNS: readonly Column[] = [
  {
    field: "open_interest_units",
    label: "OI",
    title: "open interest, units",
    format: format.quantity,
    at: "open_interest_at_ms",
    scale: "chain",
    missing: "not told yet",
  },
  {
    field: "open_interest_change_units",
    label: "ΔOI",
    title: "open interest against the previous day, units",
    format: format.signedQuantity,
    at: "open_interest_at_ms",
    scale: "chain",
    missing: "the previous day's comes with the chain snapshot",
    isWide: true,
  },
  {
    field: "volume_units",
    label: "Vol",
    title: "traded today, units",
    format: format.quantity,
    at: "volume_at_ms",
    scale: "chain",
    missing: "not told yet",
    isWide: true,
  },
  {
    field: "gamma_forward",
    label: "Γ",
    title: "gamma per ₹1 of the forward",
    format: format.gamma,
    at: "greeks_at_ms",
    scale: "chain",
    missing: "no chain snapshot yet",
    isWide: true,
  },
  {
    field: "delta_forward",
    label: "Δ",
    title: "delta per ₹1 of the forward",
    format: format.delta,
    at: "greeks_at_ms",
    scale: "chain",
    missing: "no chain snapshot yet",
    isWide: true,
  },
  {
    field: "implied_volatility",
    label: "IV",
    title: "implied volatility, % per year",
    format: format.volatility,
    at: "iv_at_ms",
    scale: "chain",
    missing: "no chain snapshot yet",
  },
  {
    field: "bid_price",
    label: "Bid",
    title: "best bid, ₹",
    format: format.price,
    at: "quote_at_ms",
    scale: "tick",
    missing: "nobody bids",
    isWide: true,
  },
  {
    field: "ask_price",
    label: "Ask",
    title: "best ask, ₹",
    format: format.price,
    at: "quote_at_ms",
    scale: "tick",
    missing: "nobody offers",
    isWide: true,
  },
  {
    field: "last_price",
    label: "LTP",
    title: "last traded price, ₹",
    format: format.price,
    at: "last_price_at_ms",
    scale: "tick",
    missing: "no trade told yet",
  },
];

/** The columns of the puts: mirrored, but a bid stands left of its ask on both sides. */
export const MIRRORED: readonly Column[] = [...COLUMNS].reverse().map((column, i, mirrored) => {
  const other = { bid_price: -1, ask_price: 1 }[column.field];
  return other === undefined ? column : mirrored[i + other]!;
});

const ABOUT_THE_PRICE = new Set(["implied_volatility", "delta_forward", "gamma_forward"]);

/** Why a value is missing, as far as the feed told. */
export function reason(column: Column, ivStatus: string | undefined): string {
  const isAboutPrice = ABOUT_THE_PRICE.has(column.field);
  return `no ${column.title}: ${isAboutPrice && ivStatus ? format.words(ivStatus) : column.missing}`;
}
