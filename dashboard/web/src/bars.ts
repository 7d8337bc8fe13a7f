// The page's frame: brand, state chip and theme above, what the numbers mean below.

import { Attribute, el, Slot } from "./dom";
import * as format from "./format";
import type { Context } from "./panel";
import type { Remarks, Verdict } from "./state";
import { toggleTheme } from "./theme";

export class Top {
  readonly element: HTMLElement;
  private readonly level: Attribute;
  private readonly word: Slot;
  private readonly clock: Slot;

  constructor(strip: HTMLElement, onTheme: () => void) {
    const word = document.createTextNode("connecting");
    const clock = document.createTextNode("");
    this.word = new Slot(word);
    this.clock = new Slot(clock);
    const chip = el("span", { class: "chip", "data-level": "waiting", "data-field": "state" }, word);
    this.level = new Attribute(chip, "data-level");
    const theme = el("button", { type: "button", class: "theme", "aria-label": "Switch between dark and light", title: "dark or light" }, "◐");
    theme.addEventListener("click", () => {
      toggleTheme();
      onTheme();
    });
    const time = el("time", { class: "clock", title: "time in India" }, clock);
    const brand = el("h1", { class: "brand" }, "option", el("b", {}, "lake"));
    this.element = el("header", { class: "top" }, brand, strip, el("div", { class: "tools" }, time, chip, theme));
  }

  show(verdict: Verdict, nowMs: number): void {
    this.word.set(verdict.word);
    this.level.set(verdict.level);
    this.clock.set(`${format.time(nowMs)} IST`);
  }
}

export class Banner {
  private readonly text = document.createTextNode("");
  readonly element = el("div", { class: "banner", role: "status", "aria-live": "polite", hidden: "" }, this.text);
  private readonly slot = new Slot(this.text);
  private readonly level = new Attribute(this.element, "data-level");

  show(verdict: Verdict): void {
    this.slot.set(verdict.sentence);
    this.level.set(verdict.level);
    if (this.element.hidden !== !verdict.sentence) this.element.hidden = !verdict.sentence;
  }
}

/** What is said beside the verdict: an alarm that cannot be overlooked, and quiet notes. */
export class Notices {
  private readonly alarm = document.createTextNode("");
  private readonly notes = document.createTextNode("");
  private readonly alarmSlot = new Slot(this.alarm);
  private readonly notesSlot = new Slot(this.notes);
  private readonly alarmLine = el("div", { class: "alarm", role: "alert", hidden: "" }, this.alarm);
  private readonly notesLine = el("div", { class: "notes", role: "status", hidden: "" }, this.notes);
  readonly element = el("div", { class: "notices" }, this.alarmLine, this.notesLine);

  show({ alarm, notes }: Remarks): void {
    // Shown before it is filled, so that it is read out.
    if (this.alarmLine.hidden !== !alarm) this.alarmLine.hidden = !alarm;
    if (this.notesLine.hidden !== !notes.length) this.notesLine.hidden = !notes.length;
    this.alarmSlot.set(alarm);
    this.notesSlot.set(notes.join(" · "));
  }
}

export class Foot {
  private readonly source = document.createTextNode("");
  private readonly slot = new Slot(this.source);
  readonly element = el(
    "footer",
    { class: "foot" },
    el("span", {}, "GEX naive: calls +, puts −; ₹ crore per 1 %"),
    el("span", { "data-field": "sources" }, this.source),
    el("span", {}, "OI and volume in units; – is not known"),
    el("span", {}, "times IST"),
  );

  constructor(private readonly context: Context) {}

  tick(): void {
    const { store, selection } = this.context;
    const choice = selection.current;
    const id = choice ? store.expiriesOf(choice.symbol).find((e) => e.expiry === choice.expiry)?.id : undefined;
    const at = id === undefined ? NaN : store.row("expiry", id)["chain_at_ms"];
    const isKnown = at !== undefined && !Number.isNaN(at);
    this.slot.set(`prices from socket, ${isKnown ? `OI/IV from chain snapshot ${format.time(at)}` : "no chain snapshot yet"}`);
  }
}
