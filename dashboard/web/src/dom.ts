// Making elements, and patching them only where what is shown has changed.

type Child = Node | string;

/** An element with attributes and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Text for screen readers only. */
export function unseen(text: string): HTMLElement {
  return el("span", { class: "unseen" }, text);
}

/** A text node that is written only when its text changes. */
export class Slot {
  constructor(private readonly node: { data: string }) {}

  /** Whether something changed. */
  set(text: string): boolean {
    if (this.node.data === text) return false;
    this.node.data = text;
    return true;
  }

  get text(): string {
    return this.node.data;
  }
}

/** An attribute that is written only when it changes; null takes it away. */
export class Attribute {
  private shown: string | null = null;

  constructor(
    private readonly owner: Pick<Element, "setAttribute" | "removeAttribute">,
    private readonly name: string,
  ) {}

  set(value: string | null): boolean {
    if (this.shown === value) return false;
    this.shown = value;
    if (value === null) this.owner.removeAttribute(this.name);
    else this.owner.setAttribute(this.name, value);
    return true;
  }
}

/** A slot inside a new element. */
export function field(
  tag: keyof HTMLElementTagNameMap,
  attributes: Record<string, string> = {},
): { element: HTMLElement; slot: Slot } {
  const node = document.createTextNode("–");
  return { element: el(tag, attributes, node) as HTMLElement, slot: new Slot(node) };
}

const isStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

const FLASH_MS = 600;
const flashed = new WeakMap<Element, number>();

/** A soft flash of the background: it moves nothing, restarts without a layout and fades in few
 * steps, since each is a repaint. An element that flashes already is left alone. */
export function flash(element: HTMLElement, direction: number): void {
  const now = performance.now();
  if (now - (flashed.get(element) ?? -FLASH_MS) < FLASH_MS || isStill() || document.hidden) return;
  flashed.set(element, now);
  const colour = `var(${direction < 0 ? "--flash-down" : "--flash-up"})`;
  element.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], {
    duration: FLASH_MS,
    easing: "steps(3, end)",
  });
}
