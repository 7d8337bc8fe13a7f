// The option chain of the choice: calls left, strike in the middle, puts right.

import { COLUMNS, MIRRORED, type Column } from "./columns";
import { Attribute, el, Slot } from "./dom";
import * as format from "./format";
import { Leg } from "./leg";
import { box, type Context, type Panel } from "./panel";
import type { Choice } from "./selection";
import type { Changes, Contract } from "./store";

/** Height of a row in px, as the style sheet has it: known, so that nothing is measured. */
const ROW_PX = 24;

interface Line {
  element: HTMLTableRowElement;
  strike: number;
  strikeSlot: Slot;
  call: Leg;
  put: Leg;
  atm: Attribute;
  side: Attribute;
  gap: Attribute;
}

export class Chain implements Panel {
  readonly element: HTMLElement;
  private readonly body = el("tbody");
  private readonly scroller: HTMLElement;
  private readonly spotLine = el("div", { class: "spot-line", hidden: "" });
  private readonly spotSlot: Slot;
  private readonly sums: Readonly<Record<"call" | "put", Slot>>;
  private readonly lines: Line[] = [];
  private shown: Line[] = [];
  private legs = new Map<number, Leg>();
  private isCentred = false;
  private spot = NaN;
  private spotId = -1;
  private expiryId = -1;
  private choice: Choice | null = null;

  constructor(
    private readonly context: Context,
    picker: HTMLElement,
  ) {
    const spot = document.createTextNode("");
    this.spotSlot = new Slot(spot);
    this.spotLine.append(el("span", { "data-field": "chain_spot" }, spot));
    const [head, call, put] = header();
    this.sums = { call, put };
    const name = "Option chain: calls, strike, puts";
    const table = el("table", { "aria-label": name }, widths(), head, this.body);
    const inner = el("div", { class: "inner" }, table, this.spotLine);
    this.scroller = el("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Option chain" }, inner);
    const { element, head: top } = box("chain", "Option chain", this.scroller);
    const centre = el("button", { type: "button", class: "quiet", title: "scroll to the money (key: a)" }, "ATM");
    centre.addEventListener("click", () => this.centre());
    top.append(picker, centre);
    this.element = element;
    this.body.addEventListener("pointerover", (event) => this.explain(event.target as Element));
  }

  show(choice: Choice): void {
    const contracts = this.context.store.catalogue?.contracts ?? [];
    const mine = contracts.filter((c) => c.symbol === choice.symbol && c.expiry === choice.expiry);
    const isOther = this.choice?.symbol !== choice.symbol || this.choice.expiry !== choice.expiry;
    if (isOther) this.isCentred = false;
    this.choice = choice;
    this.spotId = this.context.store.underlying(choice.symbol)?.id ?? -1;
    this.expiryId = this.context.store.expiriesOf(choice.symbol).find((e) => e.expiry === choice.expiry)?.id ?? -1;
    this.lay(mine);
    this.paintBars();
    this.paintSpot();
  }

  paint(changes: Changes): void {
    const { store } = this.context;
    for (const id of changes.contract) this.legs.get(id)?.paint(store.row("contract", id));
    if (changes.contract.size) this.paintBars();
    if (changes.underlying.has(this.spotId)) this.paintSpot();
    if (changes.expiry.has(this.expiryId)) this.paintSums();
  }

  tick(nowMs: number): void {
    for (const line of this.shown) {
      line.call.tick(nowMs);
      line.put.tick(nowMs);
    }
  }

  /** Scroll so that the spot stands in the middle. */
  centre(): void {
    const above = this.shown.filter((line) => line.strike < this.spot).length;
    const room = this.scroller.clientHeight - 2 * ROW_PX;
    this.scroller.scrollTop = Math.max(0, above * ROW_PX - room / 2);
  }

  private lay(contracts: readonly Contract[]): void {
    const strikes = new Map<number, { CE?: Contract; PE?: Contract }>();
    for (const contract of contracts) {
      const pair = strikes.get(contract.strike) ?? {};
      pair[contract.right] = contract;
      strikes.set(contract.strike, pair);
    }
    const sorted = [...strikes].sort(([a], [b]) => a - b);
    this.legs = new Map();
    this.shown = sorted.map(([strike, pair], i) => this.bind(this.line(i), strike, pair));
    this.lines.forEach((line, i) => (line.element.hidden = i >= sorted.length));
  }

  private bind(line: Line, strike: number, pair: { CE?: Contract; PE?: Contract }): Line {
    line.strike = strike;
    line.strikeSlot.set(format.strike(strike));
    line.element.dataset["strike"] = String(strike);
    for (const [leg, contract] of [[line.call, pair.CE], [line.put, pair.PE]] as const) {
      leg.bind(contract ?? null);
      if (contract) this.legs.set(contract.id, leg);
    }
    return line;
  }

  /** The row at a place, made once and used again for whatever strike comes there. */
  private line(i: number): Line {
    return (this.lines[i] ??= this.makeLine());
  }

  private makeLine(): Line {
    const text = document.createTextNode("");
    const call = new Leg("CE", this.context.store);
    const put = new Leg("PE", this.context.store);
    const head = el("th", { scope: "row", class: "strike" }, text);
    const element = el("tr", {}, ...call.cells, head, ...put.cells);
    this.body.append(element);
    return {
      element,
      strike: NaN,
      strikeSlot: new Slot(text),
      call,
      put,
      atm: new Attribute(element, "data-atm"),
      side: new Attribute(element, "data-side"),
      gap: new Attribute(element, "data-gap"),
    };
  }

  private paintBars(): void {
    let largest = 0;
    for (const id of this.legs.keys()) {
      const units = this.context.store.row("contract", id)["open_interest_units"] ?? 0;
      if (units > largest) largest = units;
    }
    for (const leg of this.legs.values()) leg.paintBar(largest);
  }

  private paintSpot(): void {
    this.spot = this.context.store.row("underlying", this.spotId)["spot"] ?? NaN;
    const { spot, shown } = this;
    const isKnown = shown.length > 0 && !Number.isNaN(spot);
    this.spotLine.hidden = !isKnown;
    if (!isKnown) return;
    this.spotSlot.set(format.price(spot));
    const above = shown.filter((line) => line.strike <= spot).length;
    this.spotLine.style.transform = `translateY(${above * ROW_PX}px)`;
    const nearest = shown.reduce((a, b) => (Math.abs(b.strike - spot) < Math.abs(a.strike - spot) ? b : a));
    for (const line of shown) {
      line.atm.set(line === nearest ? "" : null);
      line.side.set(line.strike <= spot ? "below" : "above");
      line.gap.set(line === shown[above] ? "" : null);
    }
    if (!this.isCentred) {
      this.isCentred = true;
      this.centre();
    }
  }

  private paintSums(): void {
    const row = this.context.store.row("expiry", this.expiryId);
    this.sums.call.set(format.quantity(row["call_open_interest_units"]));
    this.sums.put.set(format.quantity(row["put_open_interest_units"]));
  }

  private explain(target: Element): void {
    const cell = target.closest<HTMLElement>("td");
    const leg = this.legs.get(Number(cell?.dataset["contract"] || NaN));
    const chainAtMs = this.context.store.row("expiry", this.expiryId)["chain_at_ms"] ?? NaN;
    if (cell && leg) leg.explain(cell, this.context.clock.now(), chainAtMs);
  }
}

/** The first row has cells over several columns, so widths are told to a fixed layout here. */
function widths(): HTMLElement {
  const cols = COLUMNS.map((c) => el("col", { class: c.isWide ? `${c.field} wide` : c.field }));
  const mirrored = [...cols].reverse().map((col) => col.cloneNode());
  return el("colgroup", {}, ...cols, el("col", { class: "strike" }), ...mirrored);
}

function header(): [HTMLElement, Slot, Slot] {
  const call = document.createTextNode("–");
  const put = document.createTextNode("–");
  const side = (name: string, text: Text): HTMLElement =>
    el("th", { scope: "colgroup", colspan: String(COLUMNS.length), class: "side" }, `${name} `, el("small", {}, "OI ", text));
  const groups = el("tr", {}, side("Calls", call), el("td", { class: "strike" }), side("Puts", put));
  const labels = el("tr", {}, ...COLUMNS.map(label), el("th", { scope: "col", class: "strike" }, "Strike"), ...MIRRORED.map(label));
  return [el("thead", {}, groups, labels), new Slot(call), new Slot(put)];
}

function label(column: Column): HTMLElement {
  const classes = column.isWide ? "wide" : "";
  return el("th", { scope: "col", title: column.title, class: classes, "data-column": column.field }, column.label);
}
