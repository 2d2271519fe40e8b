// A segmentation that is kept beside the one that is shown: a strip under the trace, on its axis of time.
import type { Overlay } from "./canvas.ts";
import { element, setText } from "./element.ts";
import type { Layout } from "./layout.ts";
import { clusterColours } from "./palette.ts";
import { Memo } from "./panels/panel.ts";
import type { Theme } from "./paper.ts";
import type { Segmentation } from "./segmentation.ts";
import { cellAt, Runs } from "./segments.ts";
import type { Sheet } from "./sheet.ts";
import { clearRows, drawRow } from "./stripes.ts";

/** No entropy is above it: the strip says which cluster is nearest, not how near. */
const NEVER = 2;
const HEIGHT = 18;

/** What a view shows beside its segmentation: one that is kept, or the second side of a comparison. */
export interface Beside {
  /** Controls, above the paper. */
  readonly controls: readonly HTMLElement[];
  /** What stands under the paper, and on it or beside it. */
  readonly drawings: readonly HTMLElement[];
  /** A second paper, on which the pointer reads as on the first. */
  readonly sheet: HTMLCanvasElement | null;
  /** Texts, under the paper. */
  readonly element: HTMLElement;
  /** CSS px of a width that the first paper may have. */
  share(width: number): number;
  colours(shown: Segmentation, borders: Float64Array): string[];
  paint(layout: Layout | null, scale: number, theme: Theme, font: string, on: Sheet, overlay: Overlay | null): void;
  dispose(): void;
}

export class Pinned implements Beside {
  readonly controls = [];
  readonly sheet = null;
  /** For the view to place: the strip under the paper, the rest below it. */
  readonly canvas = element("canvas", { class: "pinned", role: "img", "data-ecg": "pinned", hidden: true });
  readonly drawings = [this.canvas];
  readonly element: HTMLElement;
  readonly #button = element("button", { type: "button", "data-ecg": "pin", "aria-pressed": "false" }, "Compare");
  readonly #text = element("span", { "data-ecg": "pinned-text" });
  readonly #memo = new Memo();
  readonly #words = new Memo();
  readonly #runs = new Runs();
  #shown: { readonly segmentation: Segmentation; readonly borders: Float64Array } | null = null;
  #kept: { readonly segmentation: Segmentation; readonly borders: Float64Array } | null = null;
  #colours: string[] = [];

  constructor(ask: () => void) {
    this.#button.title = "Keep what is shown as a strip under the trace, then move layers or clusters";
    this.element = element("div", { class: "compare" }, this.#button, this.#text);
    this.#button.addEventListener("click", () => {
      this.#kept = this.#kept ? null : this.#shown;
      ask();
    });
  }

  /** Colours of what is shown and of what is kept come from one list: the same slot has the same colour in both. */
  colours(shown: Segmentation, borders: Float64Array): string[] {
    this.#shown = { segmentation: shown, borders };
    const kept = this.#here(shown.record);
    const slots = [...new Set([...shown.slot, ...(kept?.segmentation.slot ?? [])])];
    const colours = clusterColours(slots);
    const of = (slot: number) => colours[slots.indexOf(slot)]!;
    this.#colours = Array.from(kept?.segmentation.slot ?? [], of);
    return Array.from(shown.slot, of);
  }

  paint(layout: Layout | null, scale: number, theme: Theme, font: string): void {
    this.#say();
    const kept = layout?.density ? null : this.#here(this.#shown?.segmentation.record);
    this.canvas.hidden = !kept || !layout;
    if (!kept || !layout || !this.#memo.changed(kept, layout, scale, theme, font, this.#colours, devicePixelRatio)) {
      return;
    }
    const c = clearRows(this.canvas, layout, scale, HEIGHT, theme, font);
    const row = { ...kept, colours: this.#colours, threshold: NEVER };
    const blank = () => theme.paper;
    drawRow(c, layout.clusterStrip, scale * devicePixelRatio, 0, this.canvas.height, row, theme, blank, this.#runs);
  }

  share(width: number): number {
    return width;
  }

  dispose(): void {
    this.canvas.width = 0;
  }

  #here(record: string | undefined) {
    return this.#kept && this.#kept.segmentation.record === record ? this.#kept : null;
  }

  #say(): void {
    const { segmentation } = this.#shown ?? {};
    if (!this.#words.changed(this.#kept, segmentation)) {
      return;
    }
    this.element.hidden = !segmentation || segmentation.centre.length === 0;
    this.#button.setAttribute("aria-pressed", String(this.#kept !== null));
    setText(this.#button, this.#kept ? "End comparison" : "Compare");
    const kept = this.#kept?.segmentation;
    let text = "";
    if (kept && segmentation) {
      const what = `${kept.nClusters} clusters of ${kept.layers.join(" + ")}`;
      const share = agreement(segmentation, this.#kept!);
      text =
        kept.record === segmentation.record
          ? `Strip under the trace: ${what}. Same colour in ${(100 * share).toFixed(0)} % of the cells now shown`
          : `Kept: ${what}, of another record (${kept.record})`;
    }
    setText(this.#text, text);
    this.canvas.setAttribute("aria-label", text || "No comparison");
  }
}

/** Share of the unmasked cells whose cluster has the same slot in another segmentation, at the cell's middle. */
export function agreement(
  shown: Segmentation,
  kept: { readonly segmentation: Segmentation; readonly borders: Float64Array },
): number {
  let [same, all] = [0, 0];
  for (let i = 0; i < shown.centre.length; i++) {
    const other = kept.segmentation.cluster[cellAt(kept.borders, shown.centre[i]!)] ?? -1;
    if (shown.cluster[i]! >= 0 && other >= 0) {
      all++;
      same += shown.slot[shown.cluster[i]!] === kept.segmentation.slot[other] ? 1 : 0;
    }
  }
  return all ? same / all : Number.NaN;
}
