// The page's connection to its server: messages in, watch and ack out, and connecting again.

import { decode, type Frame } from "./frame";
import type { AlertsMessage } from "./alertbook";
import type { Catalogue, Health } from "./store";

export type SocketState = "connecting" | "open" | "lost";

export interface Listener {
  onHello(catalogue: Catalogue): void;
  onFrame(frame: Frame): void;
  onHealth(health: Health): void;
  onAlerts(message: AlertsMessage): void;
  /** What to ask for on each connection. */
  ask(): object;
  onState(state: SocketState): void;
  /** A message that this page cannot read: another try would not help. */
  onProblem(sentence: string): void;
}

/** The server tells the feed's health each second: so long a silence means that it is gone. */
const SILENCE_MS = 3500;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;

export class LiveSocket {
  state: SocketState = "connecting";
  lostAtMs = Date.now();
  private socket: WebSocket | null = null;
  private watched: string | null = null;
  private wait = FIRST_WAIT_MS;
  private silence = 0;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {}

  connect(): void {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.listen();
    socket.onopen = () => {
      if (this.watched) socket.send(this.watched);
      socket.send(JSON.stringify(this.listener.ask()));
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.take(event.data);
    socket.onclose = () => {
      if (this.socket === socket) this.retry();
    };
  }

  watch(symbol: string, expiry: string): void {
    this.watched = JSON.stringify({ type: "watch", symbol, expiry });
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(this.watched);
  }

  ack(sequence: number): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ type: "ack", sequence }));
  }

  private take(data: string | ArrayBuffer): void {
    this.listen();
    this.wait = FIRST_WAIT_MS;
    this.become("open");
    if (typeof data !== "string") {
      this.takeFrame(data);
      return;
    }
    const message = JSON.parse(data) as { type: string; catalogue: Catalogue };
    if (message.type === "hello") this.listener.onHello(message.catalogue);
    else if (message.type === "health") this.listener.onHealth(message as unknown as Health);
    else if (message.type === "alerts") this.listener.onAlerts(message as unknown as AlertsMessage);
  }

  private takeFrame(data: ArrayBuffer): void {
    let frame: Frame;
    try {
      frame = decode(data);
    } catch (error) {
      this.listener.onProblem(`The server speaks another version than this page. Reload it. (${error})`);
      return;
    }
    this.listener.onFrame(frame);
  }

  private listen(): void {
    clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.retry(), SILENCE_MS);
  }

  private retry(): void {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.become("lost");
    const wait = this.wait * (0.5 + Math.random() / 2);
    this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2);
    window.setTimeout(() => this.connect(), wait);
  }

  private become(state: SocketState): void {
    if (this.state === state) return;
    this.state = state;
    if (state === "lost") this.lostAtMs = Date.now();
    this.listener.onState(state);
  }
}
