// The feed's health in figures, and the delays that this page measures itself.

import { Attribute, el, Slot } from "./dom";
import * as format from "./format";
import type { Percentiles } from "./latency";
import { box, type Context, type Panel } from "./panel";
import { priceSource, type Verdict } from "./state";
import type { Health } from "./store";

type Text = (health: Health, nowMs: number) => string;

const FIGURES: readonly [string, string, string, Text][] = [
  ["feed_age", "Feed age", "since the broker's last frame", (h, now) => format.age(now - (h.last_frame_at_ms ?? NaN))],
  ["price_source", "Prices by", "the broker's socket, or its REST interface while that is down", (h) => priceSource(h)],
  ["token", "Token until", "expiry of the access token, IST", (h, now) => format.dayAndTime(h.token_expires_at_ms, now)],
  ["subscribed", "Subscribed", "instruments on the socket / never seen", (h) => `${format.count(h.subscribed)} / ${format.count(h.never_seen)} unseen`],
  ["frames", "Frames", "received from the broker / not understood", (h) => `${format.quantity(h.frames)} / ${format.count(h.unknown_frames)} unknown`],
  ["landed", "Ticks landed", "written to the database / waiting", (h) => `${format.quantity(h.ticks_landed)} / ${format.quantity(h.rows_waiting)} waiting`],
  ["gaps", "Gaps", "times without a feed, recorded / reconnects", (h) => `${format.count(h.gaps)} / ${format.count(h.reconnects)} reconnects`],
  ["database", "Database", "as the streaming process finds it", (h) => h.database ?? format.NULL],
];

export class HealthPanel implements Panel {
  readonly element: HTMLElement;
  private readonly list = el("dl");
  private readonly slots = new Map<string, Slot>();
  private readonly level: Attribute;
  private readonly word: Slot;
  private health: Health | null = null;

  constructor(private readonly context: Context) {
    const word = document.createTextNode("");
    const chip = el("span", { class: "chip", "data-field": "feed_state" }, word);
    this.word = new Slot(word);
    this.level = new Attribute(chip, "data-level");
    for (const [name, label, title] of FIGURES) this.add(name, label, title);
    this.add("send_to_paint", "Send → paint", "from this page's server to the screen: p50 / p99");
    this.add("tick_to_paint", "Tick → paint", "from the exchange's time of a spot tick to the screen: p50 / p99");
    const made = box("health", "Feed", this.list);
    made.head.append(chip);
    this.element = made.element;
  }

  show(): void {}

  paint(): void {}

  hear(health: Health): void {
    this.health = health;
  }

  tick(nowMs: number): void {
    if (!this.health) return;
    for (const [name, , , text] of FIGURES) this.slots.get(name)!.set(text(this.health, nowMs));
  }

  judge(verdict: Verdict): void {
    this.word.set(verdict.word);
    this.level.set(verdict.level);
  }

  measure(sendToPaint: Percentiles, tickToPaint: Percentiles): void {
    const skew = Math.round(this.context.clock.skewMs);
    const note = skew ? ` · clock ${skew > 0 ? "+" : "−"}${format.age(Math.abs(skew))}` : "";
    this.slots.get("send_to_paint")!.set(delays(sendToPaint));
    this.slots.get("tick_to_paint")!.set(delays(tickToPaint) + note);
  }

  private add(name: string, label: string, title: string): void {
    const text = document.createTextNode(format.NULL);
    this.slots.set(name, new Slot(text));
    this.list.append(el("div", { title }, el("dt", {}, label), el("dd", { "data-field": name }, text)));
  }
}

function delays({ p50, p99 }: Percentiles): string {
  return p50 === null ? format.NULL : `${Math.round(p50)} / ${Math.round(p99 ?? p50)} ms`;
}
