// The newest alerts: rows that are recycled, what is new told politely, acknowledged and muted by
// hand. Which alerts there are, and what the reader has chosen, is held in alertbook.ts.

import { AlertBook, topic, type Alert, type AlertsMessage } from "./alertbook";
import { Attribute, el, Slot, unseen } from "./dom";
import * as format from "./format";
import { box, type Context, type Panel } from "./panel";

export const STORED = "optionlake-alerts";

const keeper = {
  read(): string | null {
    try {
      return localStorage.getItem(STORED);
    } catch {
      return null; // Storage can be forbidden: choices last as long as the page.
    }
  },
  write(text: string): void {
    try {
      localStorage.setItem(STORED, text);
    } catch {
      // As above.
    }
  },
};

export class Alerts implements Panel {
  readonly element: HTMLElement;
  private readonly book = new AlertBook(keeper);
  private readonly list = el("ol");
  private readonly rows: Row[] = [];
  private readonly empty = el("p", { class: "nothing" }, "No alerts yet");
  private readonly said = new Slot(document.createTextNode(""));
  private readonly note: Slot;
  private readonly gone: Slot;
  private readonly goneLine: HTMLElement;
  private readonly all: HTMLButtonElement;
  private readonly mutes = el("p", { class: "mutes", hidden: "" });
  private listed = "";

  constructor(private readonly context: Context) {
    const scroller = el("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Alerts" });
    scroller.append(this.empty, this.list);
    const said = document.createTextNode("");
    this.said = new Slot(said);
    const live = unseen("");
    live.setAttribute("aria-live", "polite");
    live.append(said);
    const gone = document.createTextNode("");
    this.gone = new Slot(gone);
    this.goneLine = el("p", { class: "gone", "data-field": "alerts_away", hidden: "" }, gone);
    const made = box("alerts", "Alerts", this.goneLine, scroller, this.mutes, live);
    const note = document.createTextNode("");
    this.note = new Slot(note);
    made.note.append(note);
    made.note.dataset["field"] = "alerts_unread";
    this.all = el("button", { type: "button", class: "quiet", title: "acknowledge all that are shown" }, "Ack all");
    this.all.addEventListener("click", () => {
      this.book.acknowledgeAll();
      this.patch();
    });
    made.head.append(this.all);
    this.element = made.element;
    this.list.addEventListener("click", (event) => this.click(event.target as Element));
    this.mutes.addEventListener("click", (event) => this.unmute(event.target as Element));
    window.addEventListener("storage", (event) => {
      if (event.key !== STORED) return;
      this.book.reload();
      this.patch();
    });
    this.patch();
  }

  /** What to ask the server for, on each connection. */
  ask(): object {
    return this.book.ask();
  }

  hear(message: AlertsMessage): void {
    const isFirst = this.listed === "";
    const fresh = this.book.take(message);
    this.listed = message.run;
    // Those of before the visit are read, not told.
    if (!isFirst && fresh.length) this.said.set(spoken(fresh));
    this.patch();
  }

  show(): void {}

  paint(): void {}

  tick(nowMs: number): void {
    for (const row of this.rows) row.tick(nowMs);
  }

  private patch(): void {
    const { book } = this;
    const shown = book.shown;
    const nowMs = this.context.clock.now();
    while (this.rows.length < shown.length) this.add();
    this.rows.forEach((row, at) => {
      const alert = shown[at];
      row.set(alert ?? null, alert !== undefined && book.isAcknowledged(alert), nowMs);
    });
    if (this.empty.hidden !== shown.length > 0) this.empty.hidden = shown.length > 0;
    this.note.set(shown.length ? `${book.unread} new of ${shown.length}` : "");
    if (this.all.disabled !== !(book.unread || book.away)) this.all.disabled = !(book.unread || book.away);
    this.gone.set(awayText(book));
    this.goneLine.hidden = !this.gone.text;
    this.showMutes();
  }

  private showMutes(): void {
    const topics = this.book.topics;
    const listed = topics.join("\n");
    if (this.mutes.dataset["listed"] === listed) return;
    this.mutes.dataset["listed"] = listed;
    this.mutes.hidden = !topics.length;
    const chips = topics.map((name) =>
      el("button", { type: "button", class: "quiet", "data-topic": name, title: "tell these again" }, `${format.words(name)} ✕`),
    );
    this.mutes.replaceChildren("muted ", ...chips);
  }

  private add(): void {
    const row = new Row();
    this.rows.push(row);
    this.list.append(row.element);
  }

  private click(target: Element): void {
    const alert = this.rows.find((row) => row.element.contains(target))?.alert;
    if (!alert) return;
    if (target.closest(".ack")) this.book.acknowledge([alert]);
    else if (target.closest(".mute")) this.book.mute(topic(alert));
    else if (target.closest(".symbol-name")) this.context.selection.choose(alert.symbol);
    else return;
    this.patch();
  }

  private unmute(target: Element): void {
    const name = target.closest<HTMLElement>("[data-topic]")?.dataset["topic"];
    if (name === undefined) return;
    this.book.unmute(name);
    this.patch();
  }
}

const FIELDS = ["at", "symbol", "kind", "direction", "value", "level", "score", "reason"] as const;
type Field = (typeof FIELDS)[number];

/** One place in the list; alerts move through it. */
class Row {
  readonly element = el("li", { hidden: "" });
  alert: Alert | null = null;
  private readonly slots = new Map<Field, Slot>();
  private readonly title = new Attribute(this.element, "title");
  private readonly key = new Attribute(this.element, "data-key");
  private readonly direction = new Attribute(this.element, "data-direction");
  private readonly read = new Attribute(this.element, "data-acknowledged");
  private readonly muteTitle: Attribute;
  private readonly ack: HTMLButtonElement;

  constructor() {
    const part = (field: Field, tag: "span" | "button" | "time" = "span", name: string = field): HTMLElement => {
      const text = document.createTextNode("");
      this.slots.set(field, new Slot(text));
      const attributes: Record<string, string> = { class: name, "data-field": field };
      if (tag === "button") attributes["type"] = "button";
      return el(tag, attributes, text);
    };
    this.ack = el("button", { type: "button", class: "ack", title: "acknowledge", "aria-label": "Acknowledge" }, "✓");
    const mute = el("button", { type: "button", class: "mute", "aria-label": "Mute alerts of this kind" }, "mute");
    this.muteTitle = new Attribute(mute, "title");
    this.element.append(
      el("div", { class: "line" }, part("at", "time"), part("symbol", "button", "symbol-name"), part("direction"), part("kind"), this.ack),
      part("reason"),
      el("div", { class: "line figures" }, part("value"), part("level"), part("score"), mute),
    );
  }

  set(alert: Alert | null, isAcknowledged: boolean, nowMs: number): void {
    if (this.element.hidden !== (alert === null)) this.element.hidden = alert === null;
    const before = this.alert;
    this.alert = alert;
    if (!alert) return;
    this.read.set(isAcknowledged ? "" : null);
    if (this.ack.disabled !== isAcknowledged) this.ack.disabled = isAcknowledged;
    if (before?.key === alert.key) return;
    const isUp = alert.direction === "up";
    this.key.set(alert.key);
    this.direction.set(alert.direction);
    this.title.set(hover(alert));
    this.muteTitle.set(`mute ${format.words(alert.kind)} of ${alert.symbol}`);
    this.put("symbol", alert.symbol);
    this.put("kind", format.words(alert.kind));
    this.put("direction", isUp ? "▲" : "▼");
    this.put("value", figure(alert, alert.value));
    this.put("level", alert.level === null ? "" : `level ${format.price(alert.level)}`);
    this.put("score", alert.score === null ? "" : `score ${format.plain(alert.score, 1)}`);
    this.put("reason", alert.reason);
    this.tick(nowMs);
  }

  tick(nowMs: number): void {
    const at = this.alert?.at_ms;
    if (at === undefined) return;
    this.put("at", format.today(at) === format.today(nowMs) ? format.time(at) : format.dayAndTime(at, nowMs));
  }

  private put(field: Field, text: string): void {
    this.slots.get(field)!.set(text);
  }
}

/** A price has a level that it crossed; a volume or a change of open interest is in units. */
function figure(alert: Alert, value: number | null): string {
  if (alert.level !== null) return `₹ ${format.price(value)}`;
  const isPrice = alert.kind.endsWith("_breakout") || alert.kind.endsWith("_cross");
  return isPrice ? `₹ ${format.price(value)}` : `${format.quantity(value)} units`;
}

function hover(alert: Alert): string {
  const inputs = Object.entries(alert.inputs).map(([name, value]) => `${format.words(name)}: ${format.plain(value, 2)}`);
  const about = alert.contract_id === alert.symbol ? [] : [alert.contract_id];
  return [alert.reason, `${format.timeToMs(alert.at_ms)} IST`, ...about, ...inputs].join("\n");
}

function spoken(fresh: readonly Alert[]): string {
  const [first] = fresh;
  const more = fresh.length > 1 ? `, and ${fresh.length - 1} more` : "";
  return first ? `Alert: ${first.symbol} ${format.words(first.kind)} ${first.direction}, ${first.reason}${more}` : "";
}

function awayText(book: AlertBook): string {
  const parts = book.away ? [`${book.away} came while the page was not connected`] : [];
  if (book.missed) parts.push(`${book.missed} missed`);
  if (book.isIncomplete) parts.push("some may be missing");
  return parts.join("; ");
}
