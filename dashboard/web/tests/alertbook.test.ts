import { expect, test } from "vitest";
import { AlertBook, KEPT, topic, type Alert, type AlertsMessage, type Keeper } from "../src/alertbook";

function alert(number: number, more: Partial<Alert> = {}): Alert {
  return {
    key: `k${number}`,
    kind: "volume_spike",
    symbol: "NIFTY",
    contract_id: "NIFTY",
    at_ms: number * 1000,
    direction: "up",
    level: null,
    value: 1,
    score: 2,
    inputs: {},
    reason: "words",
    ...more,
  };
}

function message(numbers: number[], more: Partial<AlertsMessage> = {}): AlertsMessage {
  return { run: "r", newest: Math.max(0, ...numbers), is_resumed: true, missed: 0, alerts: numbers.map((n) => alert(n)), ...more };
}

class Memory implements Keeper {
  constructor(public text: string | null = null) {}
  read(): string | null {
    return this.text;
  }
  write(text: string): void {
    this.text = text;
  }
}

const keys = (book: AlertBook): string[] => book.alerts.map((a) => a.key);

test("each alert is listed once, newest first, whatever is told again", () => {
  const book = new AlertBook(new Memory());
  expect(book.ask()).toEqual({ type: "alerts" });
  expect(book.take(message([2, 1])).length).toBe(2);
  expect(book.take(message([3, 2, 1])).map((a) => a.key)).toEqual(["k3"]);
  expect(keys(book)).toEqual(["k3", "k2", "k1"]);
  expect(book.away).toBe(0);
});

test("a reconnect asks for what is lacking and counts it", () => {
  const book = new AlertBook(new Memory());
  book.ask();
  book.take(message([1]));
  expect(book.ask()).toEqual({ type: "alerts", run: "r", after: 1 });
  book.take(message([7, 6], { missed: 4 }));
  expect([book.away, book.missed, book.isIncomplete]).toEqual([6, 4, false]);
  book.take(message([8]));
  expect(book.away).toBe(6);
  book.acknowledgeAll();
  expect([book.away, book.missed, book.unread]).toEqual([0, 0, 0]);
});

test("another run of the server is complete only if it still knows one of ours", () => {
  for (const [told, isIncomplete] of [[[3, 2, 1], false], [[9, 8], true]] as const) {
    const book = new AlertBook(new Memory());
    book.ask();
    book.take(message([1]));
    book.ask();
    book.take(message([...told], { run: "other", is_resumed: false }));
    expect(book.isIncomplete).toBe(isIncomplete);
  }
});

test("the list is bounded", () => {
  const book = new AlertBook(new Memory());
  const numbers = Array.from({ length: KEPT + 50 }, (_, at) => KEPT + 50 - at);
  book.take(message(numbers));
  expect(book.alerts.length).toBe(KEPT);
  expect(book.alerts[0]!.key).toBe(`k${KEPT + 50}`);
});

test("what was acknowledged and muted is remembered", () => {
  const memory = new Memory();
  const book = new AlertBook(memory);
  book.take(message([2, 1]));
  book.acknowledge([alert(1)]);
  expect(book.unread).toBe(1);
  book.mute(topic(alert(2)));
  expect(book.shown).toEqual([]);
  expect(book.take(message([3]))).toEqual([]);
  const next = new AlertBook(memory);
  next.take(message([2, 1]));
  expect([next.shown.length, next.topics]).toEqual([0, ["NIFTY volume_spike"]]);
  next.unmute("NIFTY volume_spike");
  expect([next.shown.length, next.unread]).toEqual([2, 1]);
  book.reload();
  expect(book.topics).toEqual([]);
});

test("whatever is stored under our name is survived", () => {
  for (const text of ["{", "null", "7", '{"muted":3,"acknowledged":[1,"k1"]}']) {
    const book = new AlertBook(new Memory(text));
    book.take(message([1]));
    expect(book.shown.length).toBe(1);
  }
});
