// What every panel is, and the frame around it.

import { el } from "./dom";
import type { ServerClock } from "./freshness";
import type { Choice, Selection } from "./selection";
import type { Changes, Store } from "./store";

export interface Context {
  store: Store;
  selection: Selection;
  clock: ServerClock;
}

export interface Panel {
  readonly element: HTMLElement;
  /** The catalogue or the choice changed: lay out rows anew. */
  show(choice: Choice): void;
  /** Rows changed: patch what they touch. Runs inside an animation frame; reads no layout. */
  paint(changes: Changes): void;
  /** Once a second and after `show`: whatever depends on the time alone. */
  tick(nowMs: number): void;
}

/** A titled box; returns it with the place for a note beside the title. */
export function box(
  name: string,
  title: string,
  ...content: (Node | string)[]
): { element: HTMLElement; note: HTMLElement; head: HTMLElement } {
  const note = el("span", { class: "note" });
  const head = el("header", {}, el("h2", { id: `${name}-title` }, title), note);
  const attributes = { class: `panel ${name}`, "aria-labelledby": `${name}-title` };
  return { element: el("section", attributes, head, ...content), note, head };
}
