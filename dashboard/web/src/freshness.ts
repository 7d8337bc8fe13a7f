// How old a value may be before it fades. Ticks and chain snapshots age on different scales.

export type Scale = "tick" | "chain";

/** Limits in ms between the levels 0 (fresh), 1, 2 and 3 (old). */
const LIMITS: Readonly<Record<Scale, readonly number[]>> = {
  tick: [5_000, 60_000, 600_000],
  chain: [360_000, 900_000, 3_600_000],
};

/** 0 to 3; a value without a time is old. */
export function level(ageMs: number, scale: Scale): number {
  if (Number.isNaN(ageMs)) return 3;
  const limits = LIMITS[scale];
  let found = 0;
  while (found < limits.length && ageMs > limits[found]!) found++;
  return found;
}

/** The server's clock as seen from here; small differences are the network's, not the clock's. */
export class ServerClock {
  private skews: number[] = [];

  constructor(private readonly local: () => number = Date.now) {}

  /** Take a time that the server sent just now. */
  hear(serverMs: number): void {
    this.skews.push(this.local() - serverMs);
    if (this.skews.length > 30) this.skews.shift();
  }

  /** How far this computer's clock is ahead, ms; 0 if that cannot be told from delay. */
  get skewMs(): number {
    const least = Math.min(...this.skews);
    return Math.abs(least) < 1000 || !Number.isFinite(least) ? 0 : least;
  }

  now(): number {
    return this.local() - this.skewMs;
  }
}
