// What every panel behind a tab is given, and what it gives.
import type { Overlay } from "../canvas.ts";
import { element } from "../element.ts";
import { textOn } from "../palette.ts";
import type { Theme } from "../paper.ts";
import type { Recording } from "../recording.ts";
import { letter, type Segmentation } from "../segmentation.ts";
import type { ClusterNames } from "../state.ts";
import { type Choice, choiceKey, choiceLabel } from "./intervals.ts";
import { factsOf } from "./names.ts";

export interface View extends Overlay {
  readonly recording: Recording;
  /** Before clusters are merged. */
  readonly raw: Segmentation;
  readonly names: ClusterNames;
  readonly target: string;
  /** By cell; null = nothing */
  readonly selected: Uint8Array | null;
  readonly theme: Theme;
  readonly font: string;
  /** CSS px */
  readonly width: number;
}

export interface Panel {
  readonly id: string;
  readonly title: string;
  readonly element: HTMLElement;
  /** With every frame while it is open. */
  update(view: View): void;
  dispose?(): void;
}

/** Whether one of the values is another than last time. */
export class Memo {
  #last: readonly unknown[] = [];

  changed(...values: readonly unknown[]): boolean {
    const same = values.length === this.#last.length && values.every((value, i) => value === this.#last[i]);
    this.#last = values;
    return !same;
  }
}

/** Clusters in the order of their letters. */
export function inOrder({ slot }: Segmentation): number[] {
  return Array.from(slot, (_, k) => k).sort((a, b) => slot[a]! - slot[b]!);
}

/** A button that selects something on the trace; the side of the page listens. */
export function chooser(segmentation: Segmentation, choice: Choice, text: string, spoken = ""): HTMLButtonElement {
  const label = choiceLabel(segmentation, choice);
  return element(
    "button",
    {
      type: "button",
      class: "choose",
      "data-choice": choiceKey(choice),
      "data-label": label,
      "aria-pressed": "false",
      "aria-label": spoken || `Select ${label}`,
    },
    text,
  );
}

/** The letter on its colour, as a button, and the name that the user gave. */
export function clusterHead(view: View, cluster: number): HTMLTableCellElement {
  const button = chooser(view.segmentation, { cluster }, letter(view.segmentation, cluster));
  paintKey(button, view.colours[cluster] ?? "#888888");
  const name = factsOf(view.names, letter(view.segmentation, cluster)).name ?? "";
  return element(
    "th",
    { scope: "row" },
    button,
    ...(name ? [element("bdi", { class: "given", title: name }, name)] : []),
  );
}

export function paintKey(key: HTMLElement, colour: string): void {
  key.classList.add("key");
  key.style.background = colour;
  key.style.color = textOn(colour);
}

export function headRow(...titles: string[]): HTMLTableSectionElement {
  const cells = titles.map((title, i) =>
    title ? element("th", { scope: "col", class: i > 0 && "number" }, title) : element("td"),
  );
  return element("thead", {}, element("tr", {}, ...cells));
}

export function cell(text: string, kind = "number"): HTMLTableCellElement {
  return element("td", { class: kind }, text);
}

/** A table that scrolls by itself where it is wider than the page. */
export function tableOf(name: string, ...parts: Node[]): HTMLElement {
  return element("div", { class: "wide" }, element("table", { "aria-label": name }, ...parts));
}

/** A canvas as large as it is shown, in device pixels; its context in CSS px. */
export function sized(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const [w, h] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${w / devicePixelRatio}px`;
    canvas.style.height = `${h / devicePixelRatio}px`;
  }
  const c = canvas.getContext("2d")!;
  c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  c.clearRect(0, 0, width, height);
  return c;
}
