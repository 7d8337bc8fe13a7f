import { expect, test } from "vitest";
import { level, ServerClock } from "../src/freshness";
import { Delays } from "../src/latency";
import { judge, type Facts } from "../src/state";
import type { Health } from "../src/store";

const now = 1_000_000;
const health: Health = {
  state: "live",
  last_frame_at_ms: now - 100,
  database: "up",
  now_ms: now,
  upstream: { state: "connected", since_ms: 0, reconnects: 0, last_error: null },
};
const facts: Facts = { socket: "open", lostAtMs: 0, health, problem: null, nowMs: now };

test("a feed that ticks is good and says nothing", () => {
  expect(judge(facts)).toEqual({ level: "good", word: "live", sentence: "" });
});

test("an open socket without prices is stale, with the feed's reason", () => {
  const mute = { ...health, last_frame_at_ms: now - 60_000, detail: "the exchange is closed" };
  const verdict = judge({ ...facts, health: mute });
  expect(verdict.level).toBe("stale");
  expect(verdict.sentence).toContain("for 60 s");
  expect(verdict.sentence).toContain("the exchange is closed");
});

test("a closed market is not a broken feed, but a feed that is down stays one", () => {
  const closed = { ...health, last_frame_at_ms: now - 60_000, is_market_open: false };
  expect(judge({ ...facts, health: closed }).level).toBe("closed");
  expect(judge({ ...facts, health: { ...closed, state: "connecting" } }).level).toBe("stale");
});

test("a lost feed and a lost server are told apart", () => {
  const lost: Health = { ...health, upstream: { ...health.upstream, state: "lost" } };
  expect(judge({ ...facts, health: lost }).sentence).toContain("Live feed not reachable");
  expect(judge({ ...facts, socket: "lost" }).sentence).toContain("Connection to the server lost");
});

test("a database that is down is said while prices go on", () => {
  expect(judge({ ...facts, health: { ...health, database: "down" } }).word).toBe("degraded");
});

test("ticks and chain snapshots age on their own scales", () => {
  expect([0, 6_000, 61_000, 601_000, NaN].map((ms) => level(ms, "tick"))).toEqual([0, 1, 2, 3, 3]);
  expect([0, 300_000, 400_000].map((ms) => level(ms, "chain"))).toEqual([0, 0, 1]);
});

test("a wrong clock is allowed for, a slow network is not taken for one", () => {
  const clock = new ServerClock(() => 100_000);
  clock.hear(99_950);
  expect(clock.skewMs).toBe(0);
  const ahead = new ServerClock(() => 100_000);
  for (const delay of [40, 900, 20]) ahead.hear(40_000 - delay);
  expect(ahead.skewMs).toBe(60_020);
  expect(ahead.now()).toBe(39_980);
});

test("percentiles are of the newest, the count is of all", () => {
  const delays = new Delays(100);
  expect(delays.percentiles()).toEqual({ p50: null, p99: null, count: 0 });
  for (let i = 1; i <= 200; i++) delays.add(i);
  expect(delays.percentiles()).toEqual({ p50: 151, p99: 200, count: 200 });
});
