// The page, put together: a frame comes in, panels patch what it touches, the paint is
// acknowledged and measured.

import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/layout.css";
import "./style/panels.css";
import "./style/chain.css";
import { Alerts } from "./alerts";
import { Banner, Foot, Notices, Top } from "./bars";
import { Chain } from "./chain";
import { el } from "./dom";
import { Exposure } from "./exposure";
import { ServerClock } from "./freshness";
import { HealthPanel } from "./health";
import { Delays, type Percentiles } from "./latency";
import { Painter, type Painted } from "./painter";
import type { Context, Panel } from "./panel";
import { Picker } from "./picker";
import { Ratios } from "./ratios";
import { Selection } from "./selection";
import { LiveSocket } from "./socket";
import { judge, remarks } from "./state";
import { Stocks } from "./stocks";
import { Store, type Health } from "./store";
import { Strip } from "./strip";
import { applyTheme, onSystemTheme } from "./theme";

const AGE_MS = 200;
const SECOND_MS = 1000;

class Page {
  private readonly store = new Store();
  private readonly clock = new ServerClock();
  private readonly selection = new Selection(this.store);
  private readonly context: Context = { store: this.store, selection: this.selection, clock: this.clock };
  private readonly strip = new Strip(this.context);
  private readonly picker = new Picker(this.context, () => this.chain.centre());
  private readonly chain = new Chain(this.context, this.picker.element);
  private readonly exposure = new Exposure(this.context);
  private readonly stocks = new Stocks(this.context);
  private readonly health = new HealthPanel(this.context);
  private readonly alerts = new Alerts(this.context);
  private readonly panels: readonly Panel[] = [
    this.strip,
    this.stocks,
    this.alerts,
    this.chain,
    this.exposure,
    new Ratios(this.context),
    this.health,
  ];
  private readonly top = new Top(this.strip.element, () => this.exposure.retheme());
  private readonly banner = new Banner();
  private readonly notices = new Notices();
  private readonly foot = new Foot(this.context);
  private readonly painter = new Painter(
    this.store,
    (changes) => {
      if (this.isShowDue) this.showAll();
      for (const panel of this.panels) panel.paint(changes);
    },
    (painted) => this.painted(painted),
  );
  private readonly socket: LiveSocket;
  private readonly tickToPaint = new Delays();
  private readonly sendToPaint = new Delays();
  private readonly spotTimes = new Map<number, number>();
  private lastHealth: Health | null = null;
  private problem: string | null = null;
  private isShowDue = false;
  private sequence = 0;
  private frames = 0;

  constructor(url: string) {
    this.socket = new LiveSocket(url, {
      onHello: (catalogue) => {
        this.store.learn(catalogue);
        this.selection.settle();
        this.isShowDue = true;
      },
      onFrame: (frame) => this.painter.add(frame),
      onHealth: (health) => this.hear(health),
      onAlerts: (message) => this.alerts.hear(message),
      ask: () => this.alerts.ask(),
      onState: () => this.judge(),
      onProblem: (problem) => {
        this.problem = problem;
        this.judge();
      },
    });
    // The server answers a watch with a hello and its rows: only then is there something to show.
    this.selection.onChange((choice) => {
      this.socket.watch(choice.symbol, choice.expiry);
      this.picker.show(choice);
    });
  }

  start(): void {
    const main = el("main", {}, ...this.panels.slice(1).map((panel) => panel.element));
    const told = el("div", { class: "told" }, this.notices.element, this.banner.element);
    document.body.append(this.top.element, told, main, this.foot.element);
    const chosen = this.selection.current;
    if (chosen?.expiry) this.socket.watch(chosen.symbol, chosen.expiry);
    this.socket.connect();
    window.setInterval(() => this.strip.tick(this.clock.now()), AGE_MS);
    window.setInterval(() => this.second(), SECOND_MS);
    onSystemTheme(() => {
      applyTheme();
      this.exposure.retheme();
    });
    this.judge();
  }

  latency(): Percentiles {
    return this.tickToPaint.percentiles();
  }

  sendLatency(): Percentiles {
    return this.sendToPaint.percentiles();
  }

  resetLatency(): void {
    this.tickToPaint.clear();
    this.sendToPaint.clear();
  }

  state(): object {
    return {
      socket: this.socket.state,
      verdict: this.verdict().level,
      ...this.selection.current,
      sequence: this.sequence,
      frames: this.frames,
    };
  }

  private showAll(): void {
    const choice = this.selection.current;
    if (!choice || !this.store.catalogue) return;
    this.isShowDue = false;
    document.title = `${choice.symbol} · optionlake`;
    this.picker.show(choice);
    for (const panel of this.panels) panel.show(choice);
    this.second();
  }

  private hear(health: Health): void {
    this.clock.hear(health.now_ms);
    this.lastHealth = health;
    this.health.hear(health);
    this.judge();
  }

  private second(): void {
    if (this.isShowDue) this.showAll();
    const now = this.clock.now();
    for (const panel of this.panels) panel.tick(now);
    this.foot.tick();
    this.health.measure(this.sendLatency(), this.latency());
    this.judge();
  }

  private verdict(): ReturnType<typeof judge> {
    return judge({
      socket: this.socket.state,
      lostAtMs: this.socket.lostAtMs,
      health: this.lastHealth,
      problem: this.problem,
      nowMs: this.clock.now(),
    });
  }

  private judge(): void {
    const verdict = this.verdict();
    this.top.show(verdict, this.clock.now());
    this.banner.show(verdict);
    this.notices.show(remarks(this.lastHealth));
    this.health.judge(verdict);
    document.documentElement.dataset["level"] = verdict.level;
  }

  private painted({ frames, changes, atMs }: Painted): void {
    for (const { sequence, sentAtMs } of frames) {
      this.socket.ack(sequence);
      this.sequence = sequence;
      if (!document.hidden) this.sendToPaint.add(atMs - this.clock.skewMs - sentAtMs);
    }
    this.frames += frames.length;
    for (const id of changes.underlying) this.measureTick(id, atMs);
  }

  /** A tick counts if its time is newer than the one painted before: resent rows do not. */
  private measureTick(id: number, atMs: number): void {
    const tickedAtMs = this.store.row("underlying", id)["spot_at_ms"] ?? NaN;
    const before = this.spotTimes.get(id);
    this.spotTimes.set(id, tickedAtMs);
    if (before === undefined || !(tickedAtMs > before) || document.hidden) return;
    this.tickToPaint.add(atMs - this.clock.skewMs - tickedAtMs);
  }
}

applyTheme();
const scheme = location.protocol === "https:" ? "wss" : "ws";
const page = new Page(`${scheme}://${location.host}/api/v1/live`);
page.start();

/** For benchmarks, tests and the curious; described in README.md. */
const api = {
  latency: () => page.latency(),
  sendToPaint: () => page.sendLatency(),
  resetLatency: () => page.resetLatency(),
  state: () => page.state(),
};

declare global {
  interface Window {
    optionlake: typeof api;
  }
}

window.optionlake = api;
