// The alerts that this browser knows: each once, newest first, bounded; and what its reader has
// acknowledged or muted, which is kept between visits. How they look stands in alerts.ts.

export interface Alert {
  key: string;
  kind: string;
  symbol: string;
  contract_id: string;
  at_ms: number;
  direction: "up" | "down";
  level: number | null;
  value: number | null;
  score: number | null;
  inputs: Readonly<Record<string, number>>;
  reason: string;
}

/** What the server tells: the alerts since the last message, and how many are gone for good. */
export interface AlertsMessage {
  run: string;
  newest: number;
  is_resumed: boolean;
  missed: number;
  alerts: Alert[];
}

/** Where choices are kept; the browser may forbid it. */
export interface Keeper {
  read(): string | null;
  write(text: string): void;
}

export const KEPT = 200;
const ACKNOWLEDGED_KEPT = 1000;

/** What is muted together: one kind of alert of one symbol. */
export function topic(alert: Pick<Alert, "kind" | "symbol">): string {
  return `${alert.symbol} ${alert.kind}`;
}

export class AlertBook {
  alerts: Alert[] = [];
  /** Alerts that came while the page was not connected, since its reader last looked. */
  away = 0;
  /** Of these, how many the server no longer had. */
  missed = 0;
  /** Whether there may be more of them than can be told. */
  isIncomplete = false;
  private run: string | null = null;
  private newest = 0;
  private isBack = false;
  private acknowledged = new Set<string>();
  private muted = new Set<string>();

  constructor(private readonly keeper: Keeper) {
    this.reload();
  }

  /** The message that asks for what this book lacks; send it on each connection. */
  ask(): object {
    this.isBack = this.run !== null;
    return this.run === null ? { type: "alerts" } : { type: "alerts", run: this.run, after: this.newest };
  }

  /** Take a message; returns those that are new here and not muted, newest first. */
  take(message: AlertsMessage): Alert[] {
    const known = new Set(this.alerts.map((alert) => alert.key));
    const fresh = message.alerts.filter((alert) => !known.has(alert.key) && known.add(alert.key));
    if (this.isBack) this.comeBack(message, fresh.length);
    this.isBack = false;
    this.run = message.run;
    this.newest = message.newest;
    this.alerts = [...fresh, ...this.alerts].sort((a, b) => b.at_ms - a.at_ms).slice(0, KEPT);
    return fresh.filter((alert) => !this.isMuted(alert));
  }

  get shown(): Alert[] {
    return this.alerts.filter((alert) => !this.isMuted(alert));
  }

  get unread(): number {
    return this.shown.filter((alert) => !this.isAcknowledged(alert)).length;
  }

  get topics(): string[] {
    return [...this.muted].sort();
  }

  isAcknowledged(alert: Alert): boolean {
    return this.acknowledged.has(alert.key);
  }

  isMuted(alert: Alert): boolean {
    return this.muted.has(topic(alert));
  }

  acknowledge(alerts: readonly Alert[]): void {
    for (const alert of alerts) this.acknowledged.add(alert.key);
    this.acknowledged = new Set([...this.acknowledged].slice(-ACKNOWLEDGED_KEPT));
    this.keep();
  }

  acknowledgeAll(): void {
    this.away = this.missed = 0;
    this.isIncomplete = false;
    this.acknowledge(this.shown);
  }

  mute(name: string): void {
    this.muted.add(name);
    this.keep();
  }

  unmute(name: string): void {
    this.muted.delete(name);
    this.keep();
  }

  /** Take what another tab has chosen. */
  reload(): void {
    const told = parse(this.keeper.read());
    this.acknowledged = new Set(texts(told["acknowledged"]));
    this.muted = new Set(texts(told["muted"]));
  }

  private comeBack(message: AlertsMessage, fresh: number): void {
    this.away += fresh + message.missed;
    this.missed += message.missed;
    // Another run of the server cannot count: only an overlap shows that nothing is lacking.
    const isCounted = message.is_resumed || !this.alerts.length || fresh < message.alerts.length;
    this.isIncomplete ||= !isCounted;
  }

  private keep(): void {
    this.keeper.write(JSON.stringify({ acknowledged: [...this.acknowledged], muted: [...this.muted] }));
  }
}

function parse(text: string | null): Record<string, unknown> {
  try {
    const told: unknown = JSON.parse(text ?? "{}");
    return typeof told === "object" && told !== null ? (told as Record<string, unknown>) : {};
  } catch {
    return {}; // Somebody else's text under our name: begin anew.
  }
}

function texts(told: unknown): string[] {
  return Array.isArray(told) ? told.filter((entry) => typeof entry === "string") : [];
}
