// Which rectangles of the picture look otherwise after a new threshold or with another cell pointed at.
import { edge } from "./bands.ts";
import type { Overlay } from "./canvas.ts";
import type { Area, Layout } from "./layout.ts";
import { LARGE } from "./paper.ts";
import { changedStretches, type Runs } from "./segments.ts";

/** Share of the canvas above which one repaint of all is less than many of parts. */
const MOST = 0.6;

export class Changes {
  /** x, y, width and height of each in device pixels, one after the other */
  readonly rects: number[] = [];
  readonly #stretches: number[] = [];
  #width = 0;
  #height = 0;

  clear(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.rects.length = 0;
  }

  all(): void {
    this.rects.length = 0;
    this.rects.push(0, 0, this.#width, this.#height);
  }

  /** Rectangles that look otherwise than before. */
  collect(
    layout: Layout,
    areas: readonly Area[],
    mm: number,
    before: Overlay,
    now: Overlay,
    runsBefore: Runs,
    runs: Runs,
  ): void {
    if (before.threshold !== now.threshold && !layout.density) {
      const n = changedStretches(runsBefore, runs, this.#stretches);
      for (const area of areas) {
        for (let i = 0; i < n && area !== layout.entropyStrip; i++) {
          const from = now.borders[this.#stretches[2 * i]!]!;
          const to = now.borders[this.#stretches[2 * i + 1]! + 1]!;
          if (from < area.t1 && to > area.t0) {
            // Colours along a trace go wherever it goes, beyond the area's upper edge as well.
            const top = area.y <= LARGE ? 0 : area.y;
            const left = edge(area, mm, from);
            this.#push(left, top * mm, edge(area, mm, to), (area.y + area.height) * mm);
          }
        }
      }
      const { x, y, height, t0, t1, speed } = layout.entropyStrip;
      this.#push(x * mm - 1, layout.clusterStrip.y * mm - 1, (x + (t1 - t0) * speed) * mm + 1, (y + height) * mm + 2);
    }
    if (before.cell !== now.cell) {
      this.#pushCell(areas, mm, before);
      this.#pushCell(areas, mm, now);
    }
    let covered = 0;
    for (let i = 0; i < this.rects.length; i += 4) {
      covered += this.rects[i + 2]! * this.rects[i + 3]!;
    }
    if (covered > MOST * this.#width * this.#height) {
      this.all();
    }
  }

  #push(left: number, top: number, right: number, bottom: number): void {
    const x = Math.max(0, Math.floor(left));
    const y = Math.max(0, Math.floor(top));
    const w = Math.min(this.#width, Math.ceil(right)) - x;
    const h = Math.min(this.#height, Math.ceil(bottom)) - y;
    if (w > 0 && h > 0) {
      this.rects.push(x, y, w, h);
    }
  }

  #pushCell(areas: readonly Area[], mm: number, { cell, borders, segmentation }: Overlay): void {
    if (cell < 0 || cell >= segmentation.centre.length) {
      return;
    }
    const pad = Math.ceil(0.35 * mm) + 2;
    const centre = segmentation.centre[cell]!;
    const half = segmentation.width[cell]! / 2;
    for (const area of areas) {
      if (borders[cell]! < area.t1 && borders[cell + 1]! > area.t0) {
        const [left, right] = [edge(area, mm, borders[cell]!), edge(area, mm, borders[cell + 1]!)];
        this.#push(left - pad, area.y * mm - pad, right + pad, (area.y + area.height) * mm + pad);
      }
      if (area.y <= LARGE + 1 && centre - half < area.t1 && centre + half > area.t0) {
        const [left, right] = [edge(area, mm, centre - half), edge(area, mm, centre + half)];
        this.#push(left - pad, mm, right + pad, 4.2 * mm + pad);
      }
    }
  }
}
