import { expect, test } from "vitest";
import type { Frame } from "../src/frame";
import { Store, type Catalogue } from "../src/store";

function frame(id: number, spot: number): Frame {
  const columns = new Map([["spot", Float64Array.of(spot)]]);
  return { sequence: 1, sentAtMs: 0, tables: [{ name: "underlying", ids: Float64Array.of(id), columns }] };
}

const catalogue: Catalogue = {
  version: 1,
  underlyings: [],
  expiries: [],
  strikes: [],
  contracts: [],
  iv_statuses: [],
  forward_statuses: [],
};

test("the last value of a row wins, and its change is told once", () => {
  const store = new Store();
  store.apply(frame(1, 10));
  store.apply(frame(1, 11));
  expect(store.row("underlying", 1)["spot"]).toBe(11);
  expect([...store.takeChanges().underlying]).toEqual([1]);
  expect([...store.takeChanges().underlying]).toEqual([]);
});

test("rows stay on show after a hello until its rows are there", () => {
  const store = new Store();
  store.apply(frame(1, 10));
  store.learn(catalogue);
  expect(store.row("underlying", 1)["spot"]).toBe(10);
  store.apply(frame(2, 20));
  expect(store.row("underlying", 1)["spot"]).toBeUndefined();
  expect(store.row("underlying", 2)["spot"]).toBe(20);
});

test("a table that this page does not know is passed over", () => {
  const store = new Store();
  store.apply({ sequence: 1, sentAtMs: 0, tables: [{ name: "news", ids: Float64Array.of(1), columns: new Map() }] });
  expect(store.takeChanges().underlying.size).toBe(0);
});
