// One paint for a burst of frames; acknowledged and measured after it.

import type { Frame } from "./frame";
import type { Changes, Store } from "./store";

export interface Painted {
  frames: readonly { sequence: number; sentAtMs: number }[];
  changes: Changes;
  atMs: number;
}

/** Hidden tabs get no animation frames: they paint by timer, so that the server hears from them. */
const HIDDEN_PAINT_MS = 500;

export class Painter {
  private frames: { sequence: number; sentAtMs: number }[] = [];
  private isDue = false;
  private timer = 0;
  private request = 0;
  private readonly channel = new MessageChannel();
  private painted: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    private readonly paint: (changes: Changes) => void,
    private readonly onPainted: (painted: Painted) => void,
  ) {
    // A message posted inside an animation frame arrives right after the browser has painted it.
    this.channel.port1.onmessage = () => this.painted.splice(0).forEach((done) => done());
  }

  add(frame: Frame): void {
    this.store.apply(frame);
    this.frames.push({ sequence: frame.sequence, sentAtMs: frame.sentAtMs });
    this.schedule();
  }

  private schedule(): void {
    if (this.isDue) return;
    this.isDue = true;
    this.request = requestAnimationFrame(() => this.run());
    this.timer = window.setTimeout(() => this.run(), HIDDEN_PAINT_MS);
  }

  private run(): void {
    this.isDue = false;
    cancelAnimationFrame(this.request);
    clearTimeout(this.timer);
    const changes = this.store.takeChanges();
    const frames = this.frames.splice(0);
    this.paint(changes);
    this.painted.push(() => this.onPainted({ frames, changes, atMs: Date.now() }));
    this.channel.port2.postMessage(null);
  }
}
