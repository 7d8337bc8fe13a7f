import { expect, test } from "vitest";
import { Attribute, Slot } from "../src/dom";

test("a text node is written only when its text changes", () => {
  let writes = 0;
  const node = {
    shown: "–",
    get data(): string {
      return this.shown;
    },
    set data(text: string) {
      writes++;
      this.shown = text;
    },
  };
  const slot = new Slot(node);
  expect([slot.set("1.00"), slot.set("1.00"), slot.set("1.05")]).toEqual([true, false, true]);
  expect([node.shown, writes]).toEqual(["1.05", 2]);
});

test("an attribute is written or taken away only when it changes", () => {
  const calls: string[] = [];
  const owner = {
    setAttribute: (name: string, value: string) => void calls.push(`${name}=${value}`),
    removeAttribute: (name: string) => void calls.push(`-${name}`),
  };
  const attribute = new Attribute(owner, "data-age");
  for (const value of ["0", "0", "1", null, null]) attribute.set(value);
  expect(calls).toEqual(["data-age=0", "data-age=1", "-data-age"]);
});
