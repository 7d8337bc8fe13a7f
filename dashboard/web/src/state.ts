// How much the page may be believed right now: one verdict from the socket's state and the feed's
// health. What is shown of it stands in banner.ts and health.ts.

import * as format from "./format";
import type { SocketState } from "./socket";
import type { Health } from "./store";

export type Level = "good" | "closed" | "stale" | "lost" | "waiting";

export interface Verdict {
  level: Level;
  /** A word for the chip. */
  word: string;
  /** A sentence for the banner; empty if all is well. */
  sentence: string;
}

export interface Facts {
  socket: SocketState;
  lostAtMs: number;
  health: Health | null;
  problem: string | null;
  nowMs: number;
}

/** No frame for so long counts as stale. */
export const STALE_MS = 2000;
/** Health is told once a second, so what it says can be so old. */
const HEALTH_MS = 1000;
/** Prices by REST come in turns, so that silence means less. */
const REST_STALE_MS = 15_000;

export function judge({ socket, lostAtMs, health, problem, nowMs }: Facts): Verdict {
  if (problem) return { level: "lost", word: "error", sentence: problem };
  if (socket === "lost") {
    const gone = format.duration(nowMs - lostAtMs);
    return lost(`Connection to the server lost ${gone} ago. Showing the last known values; connecting again.`);
  }
  if (!health) return { level: "waiting", word: "connecting", sentence: "" };
  const { upstream } = health;
  if (upstream.state !== "connected") {
    const since = upstream.since_ms === null ? "" : ` since ${format.time(upstream.since_ms)} IST`;
    return lost(`Live feed not reachable${since}. Showing the last known values; connecting again.`);
  }
  return judgeFeed(health, nowMs);
}

function judgeFeed(health: Health, nowMs: number): Verdict {
  const last = health.last_frame_at_ms ?? null;
  const why = health.detail ? ` Reason: ${health.detail}.` : "";
  if (last === null) return stale("waiting", `The feed has sent no price yet.${why}`);
  if (health.is_market_open === false && (health.state === "live" || health.state === "polling")) {
    return { level: "closed", word: "closed", sentence: "The market is closed. These are the last known values." };
  }
  const silentMs = nowMs - last;
  const byRest = isByRest(health);
  if (silentMs > (byRest ? REST_STALE_MS : STALE_MS) + HEALTH_MS) {
    const ago = `${format.duration(silentMs)} (last at ${format.dayAndTime(last, nowMs)} IST, feed state “${health.state ?? "?"}”)`;
    return stale("stale", `No price from the feed for ${ago}. Values are the last known.${why}`);
  }
  if (health.database === "down") {
    return stale("degraded", "The database is down: prices are live and journalled, snapshots wait.");
  }
  const since = health.fallback_since_ms ?? null;
  if (since !== null) {
    return stale("REST", `Prices by REST since ${clock(since)} IST: the feed's socket is down.${why}`);
  }
  return { level: "good", word: byRest ? "REST" : (health.state ?? "live"), sentence: "" };
}

/** What is to be said whatever the verdict is. */
export interface Remarks {
  /** Cannot be overlooked; empty if there is none. */
  alarm: string;
  notes: string[];
}

export function remarks(health: Health | null): Remarks {
  if (!health) return { alarm: "", notes: [] };
  const notes = health.mode === "rest" ? ["Prices by REST, as set"] : [];
  const isRefused = health.state === "waiting_for_token";
  const isOut = health.token_level === "alarm" || isRefused;
  // A refusal that the token itself does not show is told by the feed.
  const told = isRefused && health.token_level !== "alarm" ? health.detail : health.token_detail;
  const detail = told || health.detail || "no reason told";
  if (isOut && health.is_market_open !== false) {
    return { alarm: `The access token does not work while the market is open. ${sentence(detail)}`, notes };
  }
  if (isOut || health.token_level === "warning") notes.unshift(`Access token: ${detail}`);
  return { alarm: "", notes };
}

/** Where prices come from, in words. */
export function priceSource(health: Health): string {
  const since = health.fallback_since_ms ?? null;
  if (since !== null) return `REST since ${clock(since)}`;
  if (health.mode === "rest") return "REST";
  return health.mode === "shadow" ? "socket, REST beside it" : "socket";
}

function isByRest(health: Health): boolean {
  return health.mode === "rest" || (health.fallback_since_ms ?? null) !== null;
}

function clock(ms: number): string {
  return format.time(ms).slice(0, 5);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function lost(sentence: string): Verdict {
  return { level: "lost", word: "lost", sentence };
}

function stale(word: string, sentence: string): Verdict {
  return { level: "stale", word, sentence };
}
