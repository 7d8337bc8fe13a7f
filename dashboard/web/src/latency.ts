// Delays as the page itself measures them: a ring of the newest, and their percentiles.

export interface Percentiles {
  p50: number | null;
  p99: number | null;
  count: number;
}

export class Delays {
  private readonly ring: Float64Array;
  private total = 0;

  constructor(capacity = 4096) {
    this.ring = new Float64Array(capacity);
  }

  add(ms: number): void {
    this.ring[this.total % this.ring.length] = ms;
    this.total++;
  }

  clear(): void {
    this.total = 0;
  }

  /** Of the newest; `count` is of all since the last clear. */
  percentiles(): Percentiles {
    const known = this.ring.slice(0, Math.min(this.total, this.ring.length)).sort();
    const at = (share: number): number | null =>
      known.length ? known[Math.min(known.length - 1, Math.floor(share * known.length))]! : null;
    return { p50: at(0.5), p99: at(0.99), count: this.total };
  }
}
