import { expect, test } from "vitest";
import { level, ServerClock } from "../src/freshness";
import { Delays } from "../src/latency";
import { judge, priceSource, remarks, type Facts } from "../src/state";
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

test("a dead token is an alarm while the market is open, and a note otherwise", () => {
  const dead: Health = { ...health, token_level: "alarm", token_detail: "the token died at 03:30 IST" };
  expect(remarks({ ...dead, is_market_open: true }).alarm).toContain("The token died at 03:30 IST.");
  expect(remarks({ ...health, state: "waiting_for_token", detail: "refused" }).alarm).toContain("Refused.");
  const closed = remarks({ ...dead, is_market_open: false });
  expect([closed.alarm, closed.notes]).toEqual(["", ["Access token: the token died at 03:30 IST"]]);
});

test("a warning is a quiet note, and a good token nothing", () => {
  const warned: Health = { ...health, token_level: "warning", token_detail: "it dies in 50 minutes" };
  expect(remarks(warned)).toEqual({ alarm: "", notes: ["Access token: it dies in 50 minutes"] });
  expect(remarks({ ...health, token_level: "ok", token_detail: "lives" })).toEqual({ alarm: "", notes: [] });
});

test("prices by REST are told with their beginning, and silence means less", () => {
  const since = Date.parse("2026-11-25T05:12:40Z");
  const fallen: Health = { ...health, mode: "hybrid", fallback_since_ms: since, last_frame_at_ms: now - 8_000 };
  const verdict = judge({ ...facts, health: fallen });
  expect([verdict.word, verdict.sentence.slice(0, 33)]).toEqual(["REST", "Prices by REST since 10:42 IST: t"]);
  expect(priceSource(fallen)).toBe("REST since 10:42");
  expect(judge({ ...facts, health: { ...health, mode: "rest", fallback_since_ms: null } }).level).toBe("good");
  expect(remarks({ ...health, mode: "rest" }).notes).toEqual(["Prices by REST, as set"]);
});
