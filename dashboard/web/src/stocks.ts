// The stocks as a compact list.

import { el } from "./dom";
import { box, type Context, type Panel } from "./panel";
import { Quote } from "./quote";
import type { Choice } from "./selection";
import type { Changes } from "./store";

const COLUMNS: readonly [string, string, string][] = [
  ["spot", "Price", "spot price, ₹"],
  ["age", "Age", "age of the price"],
  ["change_percent", "Chg", "against the previous close"],
  ["net_gex_crore_per_percent", "GEX", "net gamma exposure, ₹ crore per 1 %"],
  ["pcr_open_interest", "PCR", "put-call ratio of open interest, all expiries"],
  ["atm_implied_volatility", "IV", "at-the-money implied volatility, nearest expiry, %"],
];

export class Stocks implements Panel {
  readonly element: HTMLElement;
  private readonly body = el("tbody");
  private readonly note: HTMLElement;
  private quotes = new Map<number, Quote>();
  private rows = new Map<string, HTMLElement>();
  private listed = "";

  constructor(private readonly context: Context) {
    const heads = COLUMNS.map(([name, label, title]) =>
      el("th", { scope: "col", title, class: name }, label),
    );
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "name" }, "Symbol"), ...heads));
    const scroller = el("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Stocks" });
    scroller.append(el("table", {}, head, this.body));
    const { element, note } = box("stocks", "Stocks", scroller);
    this.element = element;
    this.note = note;
    this.body.addEventListener("click", (event) => {
      const row = (event.target as Element).closest<HTMLElement>("tr");
      if (row?.dataset["symbol"]) this.context.selection.choose(row.dataset["symbol"]);
    });
  }

  show(choice: Choice): void {
    const stocks = this.context.store.underlyings.filter((u) => u.kind !== "INDEX");
    const listed = JSON.stringify(stocks);
    if (listed !== this.listed) {
      this.listed = listed;
      this.quotes = new Map(stocks.map((stock) => [stock.id, new Quote(stock)]));
      this.rows = new Map([...this.quotes.values()].map((q) => [q.underlying.symbol, row(q)]));
      this.body.replaceChildren(...this.rows.values());
      this.note.textContent = String(stocks.length);
    }
    for (const [symbol, element] of this.rows) {
      element.toggleAttribute("data-selected", symbol === choice.symbol);
    }
  }

  paint(changes: Changes): void {
    for (const id of changes.underlying) {
      this.quotes.get(id)?.paint(this.context.store.row("underlying", id));
    }
  }

  tick(nowMs: number): void {
    for (const quote of this.quotes.values()) quote.tick(nowMs);
  }
}

function row(quote: Quote): HTMLElement {
  const name = el("button", { type: "button" }, quote.underlying.symbol);
  const cells = COLUMNS.map(([column]) => el("td", {}, quote.elements.get(column)!));
  const head = el("th", { scope: "row", class: "name" }, name);
  return el("tr", { "data-symbol": quote.underlying.symbol }, head, ...cells);
}
