// Rows of clusters on the time axis of the paper: for segmentations that stand beside the one on it.
import { type Area, type Layout, toX } from "./layout.ts";
import { textOn } from "./palette.ts";
import type { Theme } from "./paper.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import { findRuns, MASKED, Runs } from "./segments.ts";

export interface Row {
  readonly segmentation: Segmentation;
  readonly borders: Float64Array;
  readonly colours: readonly string[];
  /** Above 1 no cell is uncertain. */
  readonly threshold: number;
}

/** A canvas as wide as the paper and `height` CSS px tall, in the paper's colour; its context in device pixels. */
export function clearRows(
  canvas: HTMLCanvasElement,
  layout: Layout,
  scale: number,
  height: number,
  theme: Theme,
  font: string,
): CanvasRenderingContext2D {
  const width = Math.round(layout.width * scale * devicePixelRatio);
  const tall = Math.round(height * devicePixelRatio);
  canvas.width = width;
  canvas.height = tall;
  canvas.style.width = `${width / devicePixelRatio}px`;
  canvas.style.height = `${tall / devicePixelRatio}px`;
  const c = canvas.getContext("2d")!;
  c.fillStyle = theme.paper;
  c.fillRect(0, 0, width, tall);
  c.font = `600 ${11 * devicePixelRatio}px ${font}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  return c;
}

/** One row between `y` and `y + tall`, device pixels; `mm`: device pixels for one mm. */
export function drawRow(
  c: CanvasRenderingContext2D,
  strip: Area,
  mm: number,
  y: number,
  tall: number,
  row: Row,
  theme: Theme,
  pattern: (look: number) => CanvasPattern | string,
  runs = new Runs(),
): void {
  const { segmentation, borders } = row;
  findRuns(segmentation, row.threshold, 0, segmentation.centre.length, runs);
  for (let r = 0; r < runs.length; r++) {
    const look = runs.look[r]!;
    const [x, w] = stretch(strip, mm, borders[runs.first[r]!]!, borders[runs.last[r]! + 1]!);
    if (w <= 0) {
      continue;
    }
    if (look < 0) {
      if (look !== MASKED) {
        c.fillStyle = theme.uncertain;
        c.fillRect(x, y, w, tall);
      }
      c.fillStyle = pattern(look);
      c.fillRect(x, y, w, tall);
      continue;
    }
    const colour = row.colours[look] ?? theme.muted;
    c.fillStyle = colour;
    c.fillRect(x, y, w, tall);
    const text = letter(segmentation, look);
    if (w > c.measureText(text).width + 2 * devicePixelRatio) {
      c.fillStyle = textOn(colour);
      c.fillText(text, x + w / 2, y + tall / 2 + 0.5);
    }
  }
}

/** Left edge and width in device pixels of a stretch of time inside an area; width 0 outside. */
export function stretch(strip: Area, mm: number, from: number, to: number): [x: number, width: number] {
  if (to <= strip.t0 || from >= strip.t1) {
    return [0, 0];
  }
  const x = Math.round(toX(strip, Math.max(from, strip.t0)) * mm);
  return [x, Math.round(toX(strip, Math.min(to, strip.t1)) * mm) - x];
}
