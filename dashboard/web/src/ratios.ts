// Put-call ratios of the chosen expiry, of the others and of all together.

import { Attribute, el, Slot } from "./dom";
import * as format from "./format";
import { box, type Context, type Panel } from "./panel";
import { sign } from "./quote";
import type { Choice } from "./selection";
import type { Changes, Row } from "./store";

interface Figure {
  field: string;
  label: string;
  title: string;
  format: (value: number | undefined) => string;
}

const FIGURES: readonly Figure[] = [
  { field: "pcr_open_interest", label: "PCR OI", title: "puts over calls, by open interest", format: format.ratio },
  { field: "pcr_volume", label: "PCR vol", title: "puts over calls, by volume", format: format.ratio },
  { field: "atm_implied_volatility", label: "IV", title: "at-the-money implied volatility, %", format: format.volatility },
  { field: "forward", label: "Forward", title: "the expiry's own forward, ₹", format: format.price },
  { field: "net_gex_crore_per_percent", label: "GEX", title: "net, ₹ crore per 1 %", format: format.crore },
];

interface Line {
  element: HTMLTableRowElement;
  slots: Map<string, Slot>;
  gexSign: Attribute;
}

export class Ratios implements Panel {
  readonly element: HTMLElement;
  private readonly body = el("tbody");
  private readonly split = el("i", { class: "calls" });
  private readonly callSlot: Slot;
  private readonly putSlot: Slot;
  private readonly note: HTMLElement;
  private readonly lines = new Map<string, Line>();
  private expiries = new Map<number, string>();
  private chosenId = -1;
  private underlyingId = -1;

  constructor(private readonly context: Context) {
    const call = document.createTextNode("–");
    const put = document.createTextNode("–");
    this.callSlot = new Slot(call);
    this.putSlot = new Slot(put);
    const split = el(
      "div",
      { class: "split" },
      el("span", { "data-field": "call_open_interest_units" }, "calls ", call),
      el("div", { class: "track", "aria-hidden": "true" }, this.split),
      el("span", { "data-field": "put_open_interest_units" }, "puts ", put),
    );
    const heads = FIGURES.map((f) => el("th", { scope: "col", title: f.title }, f.label));
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "name" }, "Expiry"), ...heads));
    const scroller = el("div", { class: "scroller" }, el("table", {}, head, this.body));
    const made = box("ratios", "Put-call ratio", split, scroller);
    this.element = made.element;
    this.note = made.note;
  }

  show(choice: Choice): void {
    const { store, clock, selection } = this.context;
    const today = format.today(clock.now());
    const expiries = store.expiriesOf(choice.symbol);
    this.underlyingId = store.underlying(choice.symbol)?.id ?? -1;
    this.expiries = new Map(expiries.map((e) => [e.id, e.expiry]));
    this.chosenId = expiries.find((e) => e.expiry === choice.expiry)?.id ?? -1;
    this.note.textContent = `${choice.symbol} · open interest, ${format.date(choice.expiry, today)}`;
    this.lines.clear();
    for (const { expiry } of expiries) {
      const pick = el("button", { type: "button" }, format.date(expiry, today));
      pick.addEventListener("click", () => selection.choose(choice.symbol, expiry));
      this.lines.set(expiry, line(expiry, pick, expiry === choice.expiry));
    }
    this.lines.set("all", line("all", "All", false));
    this.body.replaceChildren(...[...this.lines.values()].map((l) => l.element));
    for (const id of this.expiries.keys()) this.paintExpiry(id);
    this.paintAll();
  }

  paint(changes: Changes): void {
    for (const id of changes.expiry) if (this.expiries.has(id)) this.paintExpiry(id);
    if (changes.underlying.has(this.underlyingId)) this.paintAll();
  }

  tick(): void {}

  private paintExpiry(id: number): void {
    const row = this.context.store.row("expiry", id);
    const line = this.lines.get(this.expiries.get(id)!)!;
    patch(line, row);
    line.element.title = this.provenance(row);
    if (id === this.chosenId) this.paintSplit(row);
  }

  private paintAll(): void {
    const { forward: _, ...row } = this.context.store.row("underlying", this.underlyingId);
    patch(this.lines.get("all")!, row);
  }

  private paintSplit(row: Row): void {
    const call = row["call_open_interest_units"] ?? NaN;
    const put = row["put_open_interest_units"] ?? NaN;
    this.callSlot.set(format.quantity(call));
    this.putSlot.set(format.quantity(put));
    const share = Math.round((100 * call) / (call + put));
    this.split.parentElement!.toggleAttribute("data-missing", Number.isNaN(share));
    this.split.style.transform = `scaleX(${Number.isNaN(share) ? 0 : share / 100})`;
  }

  private provenance(row: Row): string {
    if (Number.isNaN(row["chain_at_ms"] ?? NaN)) return "no chain snapshot yet";
    const status = this.context.store.catalogue?.forward_statuses[row["forward_status"] ?? NaN];
    return [
      `chain snapshot ${format.time(row["chain_at_ms"])} IST, marked ${format.time(row["marked_at_ms"])} IST`,
      `forward by ${format.words(status)}, spread ${format.plain(row["forward_mad_bp"], 1)} bp`,
    ].join("\n");
  }
}

function line(name: string, title: HTMLElement | string, isChosen: boolean): Line {
  const slots = new Map<string, Slot>();
  const cells = FIGURES.map(({ field }) => {
    const text = document.createTextNode("–");
    slots.set(field, new Slot(text));
    return el("td", { "data-field": field }, text);
  });
  const element = el("tr", { "data-expiry": name }, el("th", { scope: "row", class: "name" }, title), ...cells);
  element.toggleAttribute("data-selected", isChosen);
  return { element, slots, gexSign: new Attribute(cells.at(-1)!, "data-sign") };
}

function patch(line: Line, row: Row): void {
  for (const { field, format } of FIGURES) line.slots.get(field)!.set(format(row[field]));
  line.gexSign.set(sign(row["net_gex_crore_per_percent"]));
}
