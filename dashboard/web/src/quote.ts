// One underlying's figures, the same in the strip of indices and in the list of stocks.

import { Attribute, field, flash, type Slot } from "./dom";
import * as format from "./format";
import { level } from "./freshness";
import type { Row, Underlying } from "./store";

const FORMATS: Readonly<Record<string, (value: number | undefined) => string>> = {
  spot: format.price,
  change_percent: format.percent,
  net_gex_crore_per_percent: format.crore,
  pcr_open_interest: format.ratio,
  atm_implied_volatility: format.volatility,
};

const FROM_CHAIN = new Set(Object.keys(FORMATS).slice(2));

export const QUOTE_FIELDS = Object.keys(FORMATS);

export class Quote {
  readonly elements = new Map<string, HTMLElement>();
  private readonly slots = new Map<string, Slot>();
  private readonly signs = new Map<string, Attribute>();
  private readonly ageSlot: Slot;
  private readonly ageLevel: Attribute;
  private spot = NaN;
  private spotAtMs = NaN;
  private row: Row = {};

  constructor(readonly underlying: Underlying) {
    for (const name of QUOTE_FIELDS) this.add(name);
    const age = field("span", { class: "age", "data-field": "age", title: "age of the price" });
    this.elements.set("age", age.element);
    this.ageSlot = age.slot;
    this.ageLevel = new Attribute(age.element, "data-age");
    this.elements.get("spot")!.addEventListener("pointerenter", () => this.explain());
  }

  paint(row: Row): void {
    this.row = row;
    for (const name of QUOTE_FIELDS) {
      const value = row[name];
      const changed = this.slots.get(name)!.set(FORMATS[name]!(value));
      if (changed) this.excuse(name);
      if (changed) this.signs.get(name)?.set(sign(value));
      if (changed && name === "spot") this.moved(value ?? NaN);
    }
    this.spotAtMs = row["spot_at_ms"] ?? NaN;
  }

  tick(nowMs: number): void {
    const ageMs = nowMs - this.spotAtMs;
    this.ageSlot.set(format.age(ageMs));
    this.ageLevel.set(String(level(ageMs, "tick")));
  }

  private add(name: string): void {
    const made = field("span", { class: name, "data-field": name });
    this.elements.set(name, made.element);
    this.slots.set(name, made.slot);
    if (name === "change_percent" || name === "net_gex_crore_per_percent") {
      this.signs.set(name, new Attribute(made.element, "data-sign"));
    }
  }

  /** A dash says why; the spot's own title is made when it is pointed at. */
  private excuse(name: string): void {
    const isMissing = this.slots.get(name)!.text === format.NULL;
    const hasChain = !Number.isNaN(this.row["chain_at_ms"] ?? NaN);
    const why = FROM_CHAIN.has(name) && !hasChain ? "no chain snapshot yet" : "not identified";
    this.elements.get(name)!.title = isMissing ? why : "";
  }

  private moved(value: number): void {
    const direction = value - this.spot;
    if (direction) flash(this.elements.get("spot")!, direction);
    this.spot = value;
  }

  private explain(): void {
    const took = this.row["spot_received_at_ms"] ?? NaN;
    this.elements.get("spot")!.title = [
      `${this.underlying.symbol} spot ₹${format.price(this.row["spot"])}`,
      `exchange time ${format.timeToMs(this.spotAtMs)} IST`,
      `received ${format.timeToMs(took)} IST from the socket`,
      `chain snapshot ${format.time(this.row["chain_at_ms"])} IST`,
    ].join("\n");
  }
}

export function sign(value: number | undefined): string | null {
  return value === undefined || Number.isNaN(value) || value === 0 ? null : value < 0 ? "-" : "+";
}
