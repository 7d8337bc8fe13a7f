import { expect, test } from "vitest";
import * as format from "../src/format";

const every = Object.entries({
  price: format.price,
  ratio: format.ratio,
  delta: format.delta,
  gamma: format.gamma,
  volatility: format.volatility,
  percent: format.percent,
  quantity: format.quantity,
  signedQuantity: format.signedQuantity,
  crore: format.crore,
  strike: format.strike,
  age: format.age,
  time: format.time,
});

test.each(every)("%s shows null as a dash, never as zero", (_, shown) => {
  for (const missing of [NaN, undefined, null]) expect(shown(missing)).toBe("–");
});

test.each([
  [0, "0.00"],
  [999.995, "1,000.00"],
  [24_141.06, "24,141.06"],
  [101_234.5, "1,01,234.50"],
  [12_345_678.9, "1,23,45,678.90"],
  [-0.001, "0.00"],
  [-12.3, "−12.30"],
])("price %d is %s", (value, text) => expect(format.price(value)).toBe(text));

test.each([
  [950, "950"],
  [12_480, "12.5K"],
  [99_950, "1.00L"],
  [840_000, "8.40L"],
  [5_240_000, "52.4L"],
  [12_345_678, "1.23Cr"],
  [-390, "−390"],
  [0, "0"],
])("quantity %d is %s", (value, text) => expect(format.quantity(value)).toBe(text));

test.each([
  [306.4, "+306"],
  [-1_037.2, "−1,037"],
  [12.34, "+12.3"],
  [0.004, "0.00"],
])("crore %d is %s", (value, text) => expect(format.crore(value)).toBe(text));

test("signs are told by a character, not by a hyphen", () => {
  expect(format.percent(-0.04)).toBe("−0.04%");
  expect(format.percent(0.36)).toBe("+0.36%");
  expect(format.percent(-0.001)).toBe("0.00%");
  expect(format.signedQuantity(1200)).toBe("+1.20K");
});

test("small gammas keep five decimals", () => {
  expect(format.gamma(0.00095)).toBe("0.00095");
  expect(format.gamma(0.0123)).toBe("0.0123");
});

test.each([
  [300, "0.3s"],
  [12_000, "12s"],
  [240_000, "4m"],
  [3 * 3_600_000, "3h"],
  [72 * 3_600_000, "3d"],
  [-50, "0.0s"],
])("an age of %d ms is %s", (ms, text) => expect(format.age(ms)).toBe(text));

test("times are India's", () => {
  const at = Date.UTC(2026, 10, 24, 8, 30, 5, 7);
  expect(format.time(at)).toBe("14:00:05");
  expect(format.timeToMs(at)).toBe("14:00:05.007");
  expect(format.dayAndTime(at, at)).toBe("24 Nov 14:00");
  expect(format.dayAndTime(at, Date.UTC(2027, 0, 1))).toBe("24 Nov 2026 14:00");
  expect(format.today(Date.UTC(2026, 10, 24, 20, 0))).toBe("2026-11-25");
});

test("dates name the year only if they are far", () => {
  expect(format.date("2026-12-01", "2026-11-24")).toBe("01 Dec");
  expect(format.date("2027-01-05", "2026-11-24")).toBe("05 Jan");
  expect(format.date("2027-12-28", "2026-11-24")).toBe("28 Dec 27");
  expect(format.daysBetween("2026-11-24", "2026-12-01")).toBe(7);
});
