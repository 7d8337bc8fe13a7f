// The indices, large, along the top.

import { el, unseen } from "./dom";
import type { Context, Panel } from "./panel";
import { Quote } from "./quote";
import type { Choice } from "./selection";
import type { Changes } from "./store";

export class Strip implements Panel {
  readonly element = el("nav", { class: "strip", "aria-label": "Indices" });
  private quotes = new Map<number, Quote>();
  private tiles = new Map<string, HTMLElement>();
  private listed = "";

  constructor(private readonly context: Context) {}

  show(choice: Choice): void {
    const indices = this.context.store.underlyings.filter((u) => u.kind === "INDEX");
    const listed = JSON.stringify(indices);
    if (listed !== this.listed) {
      this.listed = listed;
      this.quotes = new Map(indices.map((index) => [index.id, new Quote(index)]));
      this.tiles = new Map([...this.quotes.values()].map((q) => [q.underlying.symbol, this.tile(q)]));
      this.element.replaceChildren(...this.tiles.values());
    }
    for (const [symbol, tile] of this.tiles) {
      tile.setAttribute("aria-pressed", String(symbol === choice.symbol));
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

  private tile(quote: Quote): HTMLElement {
    const symbol = quote.underlying.symbol;
    const part = (name: string): HTMLElement => quote.elements.get(name)!;
    const figure = (label: string, said: string, name: string): HTMLElement =>
      el("span", { class: "figure" }, el("abbr", { title: said }, label), part(name));
    const tile = el(
      "button",
      { type: "button", class: "tile", "data-symbol": symbol },
      el("span", { class: "line" }, el("b", {}, symbol), unseen(", age "), part("age")),
      el("span", { class: "line main" }, part("spot"), part("change_percent")),
      el(
        "span",
        { class: "line small" },
        figure("GEX", "net gamma exposure, ₹ crore per 1 %", "net_gex_crore_per_percent"),
        figure("PCR", "put-call ratio of open interest, all expiries", "pcr_open_interest"),
        figure("IV", "at-the-money implied volatility, nearest expiry, %", "atm_implied_volatility"),
      ),
    );
    tile.addEventListener("click", () => this.context.selection.choose(symbol));
    return tile;
  }
}
