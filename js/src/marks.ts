// The selected stretches of time on the paper, over the picture: it need not be painted again for them.
import { element } from "./element.ts";
import { type Area, type Layout, toX } from "./layout.ts";
import type { Interval } from "./panels/intervals.ts";
import { Memo } from "./panels/panel.ts";
import type { Theme } from "./paper.ts";

export class Marks {
  readonly canvas = element("canvas", { class: "marks", "aria-hidden": "true", "data-ecg": "marks", hidden: true });
  readonly #memo = new Memo();

  /** `scale`: CSS px for one mm; `over`: the picture. */
  paint(
    over: HTMLCanvasElement,
    layout: Layout | null,
    scale: number,
    intervals: readonly Interval[],
    theme: Theme,
  ): void {
    const { width, height } = over;
    if (!this.#memo.changed(layout, scale, intervals, theme, width, height)) {
      return;
    }
    this.canvas.hidden = !layout || intervals.length === 0;
    if (!layout || this.canvas.hidden) {
      this.canvas.width = 0;
      return;
    }
    this.canvas.width = width;
    this.canvas.height = height;
    this.canvas.style.width = over.style.width;
    this.canvas.style.height = over.style.height;
    const c = this.canvas.getContext("2d")!;
    const mm = scale * devicePixelRatio;
    const line = Math.max(2, Math.round(0.5 * mm));
    const edge = Math.max(1, Math.round(0.25 * mm));
    c.fillStyle = c.strokeStyle = theme.accent;
    c.lineWidth = edge;
    for (const area of areasOf(layout)) {
      const [y, tall] = [Math.round(area.y * mm), Math.round(area.height * mm)];
      for (const [start, end] of intervals) {
        if (end <= area.t0 || start >= area.t1) {
          continue;
        }
        const x = Math.round(toX(area, Math.max(start, area.t0)) * mm);
        const w = Math.max(1, Math.round(toX(area, Math.min(end, area.t1)) * mm) - x);
        c.globalAlpha = 0.2;
        c.fillRect(x, y, w, tall);
        c.globalAlpha = 1;
        c.strokeRect(x + edge / 2, y + edge / 2, w - edge, tall - edge);
        c.fillRect(x, y, w, line);
        c.fillRect(x, y + tall - line, w, line);
      }
    }
  }

  dispose(): void {
    this.canvas.width = 0;
  }
}

function areasOf(layout: Layout): Area[] {
  return [...layout.blocks.flatMap((block) => [...block.areas]), layout.clusterStrip];
}
