// Gamma exposure by strike, as the feed gives it: bars of calls, puts and their net.

import uPlot from "uplot";
import { Attribute, el } from "./dom";
import * as format from "./format";
import { box, type Context, type Panel } from "./panel";
import type { Choice } from "./selection";
import type { Changes, Strike } from "./store";

/** Drawing costs more than patching: a chart that is redrawn more often is not read better. */
const REDRAW_MS = 250;
/** Strikes outside of which nothing reaches this share of the largest bar are left out. */
const SHOWN_SHARE = 0.01;

type Colours = Readonly<Record<"call" | "put" | "net" | "grid" | "text" | "accent", string>>;
type Bars = { strikes: number[]; call: number[]; put: number[]; net: number[] };

export class Exposure implements Panel {
  readonly element: HTMLElement;
  private readonly plot = el("div", { class: "plot", role: "img" });
  private readonly missing = new Attribute(this.plot, "data-missing");
  private readonly readout = el("p", { class: "readout", "aria-hidden": "true" });
  private readonly note: HTMLElement;
  private chart: uPlot | null = null;
  private colours: Colours;
  private readonly family = getComputedStyle(document.body).fontFamily;
  private strikes: Strike[] = [];
  private ids = new Set<number>();
  private bars: Bars = { strikes: [], call: [], put: [], net: [] };
  private range: [number, number] | null = null;
  private spotId = -1;
  private drawnAtMs = 0;
  private isDue = false;

  constructor(private readonly context: Context) {
    const legend = el(
      "p",
      { class: "legend" },
      el("span", { class: "key call" }, "calls +"),
      el("span", { class: "key put" }, "puts −"),
      el("span", { class: "key net" }, "net"),
      el("span", { class: "unit", title: "Γ × OI × S² × 0.01 / 1e7, naive: calls +, puts −" }, "₹ crore per 1 % · naive"),
    );
    const made = box("exposure", "Gamma exposure", legend, this.plot, this.readout);
    this.element = made.element;
    this.note = made.note;
    this.colours = this.readColours();
    new ResizeObserver(([entry]) => this.resize(entry!.contentRect)).observe(this.plot);
  }

  show(choice: Choice): void {
    const all = this.context.store.catalogue?.strikes ?? [];
    this.strikes = all
      .filter((s) => s.symbol === choice.symbol && s.expiry === choice.expiry)
      .sort((a, b) => a.strike - b.strike);
    this.ids = new Set(this.strikes.map((s) => s.id));
    this.spotId = this.context.store.underlying(choice.symbol)?.id ?? -1;
    this.range = null;
    this.drawnAtMs = 0;
    this.isDue = true;
  }

  paint(changes: Changes): void {
    if (changes.underlying.has(this.spotId)) this.isDue = true;
    for (const id of changes.strike) if (this.ids.has(id)) this.isDue = true;
    const now = performance.now();
    if (!this.isDue || now - this.drawnAtMs < REDRAW_MS) return;
    this.drawnAtMs = now;
    this.isDue = false;
    this.draw();
  }

  tick(): void {
    if (this.isDue) this.draw();
    this.isDue = false;
  }

  /** Colours come from the style sheet: read once, and again when the theme changes. */
  retheme(): void {
    this.colours = this.readColours();
    this.chart?.redraw(false);
  }

  private draw(): void {
    this.bars = this.read();
    this.describe();
    if (!this.chart) return;
    const { strikes, call, put, net } = this.bars;
    const [from, to] = this.span();
    this.chart.setData([strikes, call, put, net], false);
    this.chart.batch(() => {
      this.chart!.setScale("x", { min: from, max: to });
      this.chart!.setScale("y", this.heights());
    });
  }

  private read(): Bars {
    const bars: Bars = { strikes: [], call: [], put: [], net: [] };
    for (const { id, strike } of this.strikes) {
      const row = this.context.store.row("strike", id);
      bars.strikes.push(strike);
      bars.call.push(row["call_gex_crore_per_percent"] ?? NaN);
      bars.put.push(row["put_gex_crore_per_percent"] ?? NaN);
      bars.net.push(row["net_gex_crore_per_percent"] ?? NaN);
    }
    return bars;
  }

  /** Where bars are worth showing; it only widens, so that the chart does not jump about. */
  private span(): [number, number] {
    const { strikes, call, put } = this.bars;
    const size = (i: number): number => Math.max(Math.abs(call[i]!) || 0, Math.abs(put[i]!) || 0);
    const least = SHOWN_SHARE * strikes.reduce((most, _, i) => Math.max(most, size(i)), 0);
    const shown = strikes.filter((_, i) => size(i) > least);
    const step = strikes.length > 1 ? strikes[1]! - strikes[0]! : 1;
    const [first, last] = [shown[0] ?? strikes[0] ?? 0, shown.at(-1) ?? strikes.at(-1) ?? 1];
    const [from, to] = this.range ?? [Infinity, -Infinity];
    const span: [number, number] = [Math.min(from, first - step), Math.max(to, last + step)];
    if (shown.length) this.range = span;
    return span;
  }

  private heights(): { min: number; max: number } {
    const size = (values: number[], sign: number): number =>
      values.reduce((most, v) => Math.max(most, sign * v || 0), 0);
    const [up, down] = [size(this.bars.call, 1), size(this.bars.put, -1)];
    const most = Math.max(up, down, 0.01);
    return { min: -Math.max(down, most * 0.15) * 1.08, max: Math.max(up, most * 0.15) * 1.14 };
  }

  private describe(): void {
    const { strikes, net } = this.bars;
    const isMissing = net.every((v) => Number.isNaN(v));
    this.missing.set(isMissing ? "no chain snapshot yet" : null);
    const total = isMissing ? NaN : net.reduce((sum, v) => sum + (v || 0), 0);
    const largest = net.reduce((at, v, i) => (Math.abs(v) > Math.abs(net[at] || 0) ? i : at), 0);
    const spot = format.price(this.context.store.row("underlying", this.spotId)["spot"]);
    const at = strikes[largest];
    const where = at === undefined ? "" : `, largest ${format.crore(net[largest])} at ${format.strike(at)}`;
    this.note.textContent = `net ${format.crore(total)}`;
    this.plot.setAttribute("aria-label", `Net gamma exposure ${format.crore(total)} ₹ crore per 1 %${where}; spot ${spot}`);
    if (!this.readout.dataset["held"]) this.readout.textContent = isMissing ? "" : `largest net ${format.crore(net[largest])} at ${format.strike(at)}`;
  }

  private resize({ width, height }: { width: number; height: number }): void {
    if (width < 40 || height < 40) return;
    const size = { width: Math.floor(width), height: Math.floor(height) };
    if (this.chart) this.chart.setSize(size);
    else this.chart = new uPlot(this.options(size), [[], [], [], []], this.plot);
    this.draw();
  }

  private options(size: { width: number; height: number }): uPlot.Options {
    const bar = (share: number): uPlot.Series.PathBuilder => uPlot.paths.bars!({ size: [share, 40] });
    const series = (name: "call" | "put" | "net", share: number): uPlot.Series => ({
      label: name,
      paths: bar(share),
      fill: () => this.colours[name],
      stroke: () => this.colours[name],
      width: 0,
      points: { show: false },
    });
    const axis = { stroke: () => this.colours.text, font: `11px ${this.family}`, ticks: { show: false } };
    const grid = { stroke: () => this.colours.grid, width: 1 };
    return {
      ...size,
      legend: { show: false },
      padding: [10, 8, 0, 0],
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      series: [{}, series("call", 0.78), series("put", 0.78), series("net", 0.3)],
      axes: [
        { ...axis, grid: { show: false }, space: 64, size: 26, values: (_, ticks) => ticks.map((t) => format.strike(t)) },
        { ...axis, grid, size: 52, space: 36, values: (_, ticks) => ticks.map((t) => format.crore(t).replace(/\.0+$/, "")) },
      ],
      hooks: { draw: [(chart) => this.drawSpot(chart)], setCursor: [(chart) => this.showAt(chart.cursor.idx)] },
    };
  }

  private drawSpot(chart: uPlot): void {
    const spot = this.context.store.row("underlying", this.spotId)["spot"];
    if (spot === undefined || Number.isNaN(spot)) return;
    const { ctx, bbox } = chart;
    const [x, zero] = [Math.round(chart.valToPos(spot, "x", true)), chart.valToPos(0, "y", true)];
    ctx.save();
    ctx.strokeStyle = this.colours.text;
    line(ctx, bbox.left, zero, bbox.left + bbox.width, zero);
    ctx.strokeStyle = this.colours.accent;
    ctx.lineWidth = 1.25 * devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
    this.drawLabel(ctx, x, bbox, `spot ${format.price(spot)}`);
    ctx.restore();
  }

  private drawLabel(ctx: CanvasRenderingContext2D, x: number, bbox: uPlot.BBox, text: string): void {
    ctx.font = `600 ${11 * devicePixelRatio}px ${this.family}`;
    const isRight = x > bbox.left + bbox.width * 0.6;
    ctx.textAlign = isRight ? "right" : "left";
    ctx.textBaseline = "top";
    ctx.fillStyle = this.colours.accent;
    ctx.fillText(text, x + (isRight ? -6 : 6) * devicePixelRatio, bbox.top);
  }

  private showAt(i: number | null | undefined): void {
    const { strikes, call, put, net } = this.bars;
    const isHeld = i !== null && i !== undefined && strikes[i] !== undefined;
    this.readout.dataset["held"] = isHeld ? "1" : "";
    if (!isHeld) return;
    const parts = [format.strike(strikes[i]), `call ${format.crore(call[i])}`, `put ${format.crore(put[i])}`, `net ${format.crore(net[i])}`];
    this.readout.textContent = parts.join("   ");
  }

  private readColours(): Colours {
    const probe = el("i", { hidden: "" });
    document.body.append(probe);
    const colour = (name: string): string => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const colours = {
      call: colour("call-bar"),
      put: colour("put-bar"),
      net: colour("net-bar"),
      grid: colour("grid"),
      text: colour("muted"),
      accent: colour("accent"),
    };
    probe.remove();
    return colours;
  }
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
