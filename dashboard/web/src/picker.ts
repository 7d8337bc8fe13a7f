// Choosing a symbol and an expiry, by pointer and by key.

import { el } from "./dom";
import * as format from "./format";
import type { Context } from "./panel";
import type { Choice } from "./selection";

export class Picker {
  readonly element: HTMLElement;
  private readonly symbol = el("button", { type: "button", class: "symbol", "aria-haspopup": "dialog" });
  private readonly dates = el("div", { class: "dates", role: "group", "aria-label": "Expiry" });
  private readonly input = el("input", {
    type: "text",
    role: "combobox",
    placeholder: "Symbol",
    "aria-label": "Search a symbol",
    "aria-controls": "symbols",
    "aria-expanded": "true",
    autocomplete: "off",
    spellcheck: "false",
  });
  private readonly list = el("ul", { id: "symbols", role: "listbox", "aria-label": "Symbols" });
  private readonly dialog = el("dialog", { class: "search", "aria-label": "Search a symbol" }, this.input, this.list);
  private marked = 0;

  constructor(
    private readonly context: Context,
    private readonly onCentre: () => void,
  ) {
    this.element = el("div", { class: "picker" }, this.symbol, this.dates, this.dialog);
    this.symbol.addEventListener("click", () => this.open());
    this.input.addEventListener("input", () => this.fill());
    this.input.addEventListener("keydown", (event) => this.onListKey(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    addEventListener("keydown", (event) => this.onKey(event));
  }

  show(choice: Choice): void {
    this.symbol.replaceChildren(choice.symbol, el("kbd", { "aria-hidden": "true" }, "/"));
    this.symbol.title = "choose a symbol (key: /)";
    const today = format.today(this.context.clock.now());
    const dates = this.context.store.expiriesOf(choice.symbol);
    this.dates.replaceChildren(...dates.map(({ expiry }) => this.date(expiry, choice, today)));
  }

  private date(expiry: string, choice: Choice, today: string): HTMLElement {
    const days = format.daysBetween(today, expiry);
    const pressed = String(expiry === choice.expiry);
    const attributes = { type: "button", "aria-pressed": pressed, "data-expiry": expiry };
    const title = `${expiry}, in ${days} days (keys: [ and ])`;
    const button = el("button", { ...attributes, title }, format.date(expiry, today), el("small", {}, `${days}d`));
    button.addEventListener("click", () => this.context.selection.choose(choice.symbol, expiry));
    return button;
  }

  private open(): void {
    this.input.value = "";
    this.fill();
    this.dialog.showModal();
    this.input.focus();
  }

  private matches(): string[] {
    const wanted = this.input.value.trim().toUpperCase();
    const symbols = this.context.store.underlyings.map((u) => u.symbol);
    const starting = symbols.filter((s) => s.startsWith(wanted));
    return [...starting, ...symbols.filter((s) => !s.startsWith(wanted) && s.includes(wanted))];
  }

  private fill(): void {
    const options = this.matches().map((symbol, i) => {
      const option = el("li", { role: "option", id: `symbol-${i}` }, symbol);
      option.addEventListener("click", () => this.take(symbol));
      return option;
    });
    this.list.replaceChildren(...options);
    this.mark(0);
  }

  private mark(i: number): void {
    const options = [...this.list.children];
    this.marked = Math.max(0, Math.min(options.length - 1, i));
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === this.marked)));
    this.input.setAttribute("aria-activedescendant", options.length ? `symbol-${this.marked}` : "");
    options[this.marked]?.scrollIntoView({ block: "nearest" });
  }

  private take(symbol: string | undefined): void {
    this.dialog.close();
    if (symbol) this.context.selection.choose(symbol);
  }

  private onListKey(event: KeyboardEvent): void {
    const moves: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };
    const move = moves[event.key];
    if (move !== undefined) this.mark(this.marked + move);
    else if (event.key === "Enter") this.take(this.matches()[this.marked]);
    else return;
    event.preventDefault();
  }

  private onKey(event: KeyboardEvent): void {
    if (this.dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Readonly<Record<string, () => void>> = {
      "/": () => this.open(),
      "[": () => this.context.selection.step(-1),
      "]": () => this.context.selection.step(1),
      ArrowLeft: () => this.context.selection.step(-1),
      ArrowRight: () => this.context.selection.step(1),
      a: () => this.onCentre(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
