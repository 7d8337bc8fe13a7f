// One option's cells in the chain. The cells are recycled: `bind` gives them another contract.

import { COLUMNS, MIRRORED, reason, type Column } from "./columns";
import { Attribute, el, flash, Slot } from "./dom";
import * as format from "./format";
import { level } from "./freshness";
import type { Contract, Row, Store } from "./store";

interface Cell {
  column: Column;
  element: HTMLElement;
  slot: Slot;
  sign: Attribute;
  age: Attribute;
  missing: Attribute;
}

const BAR_STEPS = 24;

export class Leg {
  readonly cells: HTMLElement[];
  private readonly parts: Cell[];
  private readonly bar = el("i", { class: "bar", "aria-hidden": "true" });
  private readonly barSize: Attribute;
  private contract: Contract | null = null;
  private row: Row = {};
  private lastPrice = NaN;

  constructor(
    readonly right: "CE" | "PE",
    private readonly store: Store,
  ) {
    const order = right === "CE" ? COLUMNS : MIRRORED;
    this.parts = order.map((column) => this.cell(column));
    this.cells = this.parts.map((part) => part.element);
    this.barSize = new Attribute(this.bar, "data-size");
  }

  bind(contract: Contract | null): void {
    this.contract = contract;
    this.lastPrice = NaN;
    const id = contract === null ? "" : String(contract.id);
    for (const cell of this.cells) cell.dataset["contract"] = id;
    this.paint(contract ? this.store.row("contract", contract.id) : {});
  }

  paint(row: Row): void {
    this.row = row;
    for (const part of this.parts) this.patch(part, row[part.column.field]);
    const price = row["last_price"] ?? NaN;
    const moved = price - this.lastPrice;
    if (moved) flash(this.parts.find((p) => p.column.field === "last_price")!.element, moved);
    this.lastPrice = price;
  }

  /** The bar's length: a share of the chain's largest open interest, in steps. */
  paintBar(largest: number): void {
    const share = (this.row["open_interest_units"] ?? 0) / largest;
    const steps = Number.isFinite(share) ? Math.ceil(share * BAR_STEPS) : 0;
    if (this.barSize.set(String(steps))) this.bar.style.transform = `scaleX(${steps / BAR_STEPS})`;
  }

  tick(nowMs: number): void {
    for (const { column, age } of this.parts) {
      age.set(String(level(nowMs - (this.row[column.at] ?? NaN), column.scale)));
    }
  }

  /** The title of a cell, made when the pointer comes to it. */
  explain(element: HTMLElement, nowMs: number, chainAtMs: number): void {
    const part = this.parts.find((p) => p.element === element);
    if (!part || !this.contract || part.slot.text === format.NULL) return;
    const { column } = part;
    const at = this.row[column.at] ?? NaN;
    const { symbol, strike, right } = this.contract;
    element.title = [
      `${symbol} ${format.strike(strike)} ${right} · ${column.title}: ${part.slot.text}`,
      `as of ${format.timeToMs(at)} IST (${format.age(nowMs - at)} old)`,
      `source: ${this.source(column, at <= chainAtMs ? "chain snapshot" : "socket")}`,
    ].join("\n");
  }

  private source(column: Column, byTime: string): string {
    if (column.at === "greeks_at_ms") return "computed here, marked to the newest spot";
    if (column.field === "implied_volatility") return "implied here from the option's price";
    if (column.field === "last_price") return this.row["last_price_is_live"] ? "socket" : "chain snapshot";
    return byTime;
  }

  private patch(part: Cell, value: number | undefined): void {
    if (!part.slot.set(part.column.format(value))) return;
    const isMissing = part.slot.text === format.NULL;
    part.missing.set(isMissing ? "" : null);
    if (isMissing) part.element.title = this.reason(part.column);
    else if (part.element.title.startsWith("no ")) part.element.removeAttribute("title");
    if (part.column.field === "open_interest_change_units") {
      part.sign.set(value ? (value < 0 ? "-" : "+") : null);
    }
  }

  private reason(column: Column): string {
    if (!this.contract) return "not listed";
    const code = this.row["iv_status"] ?? NaN;
    return reason(column, this.store.catalogue?.iv_statuses[code]);
  }

  private cell(column: Column): Cell {
    const text = document.createTextNode("");
    const element = el("td", { "data-field": column.field, "data-right": this.right }, text);
    if (column.isWide) element.classList.add("wide");
    if (column.field === "open_interest_units") element.prepend(this.bar);
    return {
      column,
      element,
      slot: new Slot(text),
      sign: new Attribute(element, "data-sign"),
      age: new Attribute(element, "data-age"),
      missing: new Attribute(element, "data-missing"),
    };
  }
}
