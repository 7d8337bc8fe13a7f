import { describe, expect, it } from "vitest";
import { parse } from "../src/selection";

describe("the address", () => {
  it("names symbol and expiry", () => {
    expect(parse("#NIFTY/2026-12-01")).toEqual({ symbol: "NIFTY", expiry: "2026-12-01" });
  });

  it("may leave the expiry to the nearest", () => {
    expect(parse("#BAJAJ-AUTO")).toEqual({ symbol: "BAJAJ-AUTO", expiry: "" });
    expect(parse("#M%26M")).toEqual({ symbol: "M&M", expiry: "" });
  });

  it("is ignored when it is something else", () => {
    for (const hash of ["", "#", "#NIFTY/soon", "#%E0%A4%A"]) expect(parse(hash)).toBeNull();
  });
});
