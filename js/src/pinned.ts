// A segmentation that is kept beside the one that is shown: a strip under the trace, on its axis of time.
import { element, setText } from "./element.ts";
import { type Area, type Layout, toX } from "./layout.ts";
import { clusterColours, textOn } from "./palette.ts";
import { Memo } from "./panels/panel.ts";
import type { Theme } from "./paper.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import { cellAt, findRuns, Runs } from "./segments.ts";

/** No entropy is above it: the strip says which cluster is nearest, not how near. */
const NEVER = 2;
const HEIGHT = 18;

export class Pinned {
  /** For the view to place: the strip under the paper, the rest below it. */
  readonly canvas = element("canvas", { class: "pinned", role: "img", "data-ecg": "pinned", hidden: true });
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
    const mm = scale * devicePixelRatio;
    const strip: Area = layout.clusterStrip;
    const width = Math.round(layout.width * mm);
    const tall = Math.round(HEIGHT * devicePixelRatio);
    this.canvas.width = width;
    this.canvas.height = tall;
    this.canvas.style.width = `${width / devicePixelRatio}px`;
    this.canvas.style.height = `${tall / devicePixelRatio}px`;
    const c = this.canvas.getContext("2d")!;
    c.fillStyle = theme.paper;
    c.fillRect(0, 0, width, tall);
    c.font = `600 ${11 * devicePixelRatio}px ${font}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    const { segmentation, borders } = kept;
    findRuns(segmentation, NEVER, 0, segmentation.centre.length, this.#runs);
    for (let r = 0; r < this.#runs.length; r++) {
      const look = this.#runs.look[r]!;
      const [from, to] = [borders[this.#runs.first[r]!]!, borders[this.#runs.last[r]! + 1]!];
      if (look < 0 || to <= strip.t0 || from >= strip.t1) {
        continue;
      }
      const x = Math.round(toX(strip, Math.max(from, strip.t0)) * mm);
      const w = Math.round(toX(strip, Math.min(to, strip.t1)) * mm) - x;
      const colour = this.#colours[look] ?? theme.muted;
      c.fillStyle = colour;
      c.fillRect(x, 0, w, tall);
      const text = letter(segmentation, look);
      if (w > c.measureText(text).width + 2 * devicePixelRatio) {
        c.fillStyle = textOn(colour);
        c.fillText(text, x + w / 2, tall / 2 + 0.5);
      }
    }
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
