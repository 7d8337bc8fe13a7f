import { expect, test } from "vitest";
import { decode } from "../src/frame";

/** A frame as market/live_frame.py writes it. */
function encode(header: object, sections: number[][]): ArrayBuffer {
  let text = JSON.stringify(header);
  while ((4 + text.length) % 8) text += " ";
  const values = sections.flat();
  const buffer = new ArrayBuffer(4 + text.length + 8 * values.length);
  new DataView(buffer).setUint32(0, text.length, true);
  new Uint8Array(buffer, 4, text.length).set(new TextEncoder().encode(text));
  values.forEach((v, i) => new DataView(buffer).setFloat64(4 + text.length + 8 * i, v, true));
  return buffer;
}

const tables = [
  { name: "underlying", rows: 2, columns: ["spot", "spot_at_ms"] },
  { name: "strike", rows: 1, columns: ["net_gex_crore_per_percent"] },
];
const header = { v: 1, sequence: 7, sent_at_ms: 12.5, tables };
const sections = [[1, 2], [24_141.05, NaN], [10, 20], [9], [-3.5]];

test("sections come back by table and column", () => {
  const frame = decode(encode(header, sections));
  expect([frame.sequence, frame.sentAtMs]).toEqual([7, 12.5]);
  const [underlying, strike] = frame.tables;
  expect([...underlying!.ids]).toEqual([1, 2]);
  expect([...underlying!.columns.get("spot")!]).toEqual([24_141.05, NaN]);
  expect([...underlying!.columns.get("spot_at_ms")!]).toEqual([10, 20]);
  expect([...strike!.columns.get("net_gex_crore_per_percent")!]).toEqual([-3.5]);
});

test("columns are views of the message, not copies", () => {
  const message = encode(header, sections);
  expect(decode(message).tables[0]!.ids.buffer).toBe(message);
});

test("another version says so", () => {
  expect(() => decode(encode({ ...header, v: 2 }, sections))).toThrow(/version 2, expected 1/);
});

test("a frame that is cut short is an error", () => {
  expect(() => decode(encode(header, sections).slice(0, -8))).toThrow();
});
