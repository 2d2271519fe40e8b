// What depends on the threshold: bands behind the traces, colours along them, and the cell that is pointed at.
import type { Overlay, Scene } from "./canvas.ts";
import { pixelOf } from "./ink.ts";
import { type Area, toX } from "./layout.ts";
import { LARGE } from "./paper.ts";
import type { Pen } from "./pen.ts";
import { type Runs, UNCERTAIN } from "./segments.ts";

/** How a look that is no cluster is filled. */
export type Pattern = (look: number) => CanvasPattern | string;

/** Left edge in device pixels of a moment inside an area, or of the nearest moment inside it. */
export function edge(area: Area, mm: number, time: number): number {
  return Math.round(toX(area, time < area.t0 ? area.t0 : time > area.t1 ? area.t1 : time) * mm);
}

/** Bands of an area between the columns `left` and `right` (exclusive). */
export function drawBands(
  c: Pen,
  mm: number,
  area: Area,
  scene: Scene,
  overlay: Overlay,
  runs: Runs,
  pattern: Pattern,
  left: number,
  right: number,
): void {
  const { theme } = scene;
  const { borders, colours, cluster, colouring } = overlay;
  const y = Math.round(area.y * mm);
  const h = Math.round((area.y + area.height) * mm) - y;
  for (let r = 0; r < runs.length; r++) {
    const x = edge(area, mm, borders[runs.first[r]!]!);
    const w = edge(area, mm, borders[runs.last[r]! + 1]!) - x;
    if (w <= 0 || x >= right || x + w <= left) {
      continue;
    }
    const look = runs.look[r]!;
    if (look >= 0) {
      if (colouring === "bands" || cluster === look) {
        c.globalAlpha = theme.band * (cluster < 0 ? 1 : cluster === look ? 1.4 : 0.3);
        c.fillStyle = colours[look] ?? theme.muted;
        c.fillRect(x, y, w, h);
        c.globalAlpha = 1;
      }
      continue;
    }
    if (look === UNCERTAIN) {
      c.fillStyle = theme.uncertain;
      c.globalAlpha = colouring === "bands" ? 0.75 : 0.35;
      c.fillRect(x, y, w, h);
      c.globalAlpha = 1;
    }
    c.fillStyle = pattern(look);
    c.fillRect(x, y, w, h);
  }
}

/** The pixel value of each column of an area, into `out`. */
export function columnColours(
  out: Uint32Array,
  mm: number,
  area: Area,
  scene: Scene,
  overlay: Overlay,
  runs: Runs,
): void {
  out.fill(pixelOf(scene.theme.muted), edge(area, mm, area.t0), edge(area, mm, area.t1) + 1);
  const uncertain = pixelOf(scene.theme.uncertain);
  for (let r = 0; r < runs.length; r++) {
    const look = runs.look[r]!;
    const from = edge(area, mm, overlay.borders[runs.first[r]!]!);
    const to = edge(area, mm, overlay.borders[runs.last[r]! + 1]!);
    out.fill(look < 0 ? uncertain : pixelOf(overlay.colours[look] ?? scene.theme.muted), from, to);
  }
}

/** The pointed cell: its own stretch outlined, its receptive field as a bracket above the first row. */
export function drawCell(c: Pen, mm: number, scene: Scene, overlay: Overlay, areas: Area[]): void {
  const { cell, segmentation, borders } = overlay;
  if (cell < 0 || cell >= segmentation.centre.length) {
    return;
  }
  const centre = segmentation.centre[cell]!;
  const half = segmentation.width[cell]! / 2;
  const line = Math.max(1, Math.round(0.35 * mm));
  c.strokeStyle = scene.theme.accent;
  c.fillStyle = scene.theme.accent;
  c.lineWidth = line;
  for (const area of areas) {
    const x = edge(area, mm, borders[cell]!);
    if (borders[cell]! < area.t1 && borders[cell + 1]! > area.t0) {
      c.strokeRect(x, area.y * mm, Math.max(edge(area, mm, borders[cell + 1]!) - x, line), area.height * mm);
    }
    if (area.y > LARGE + 1 || centre - half >= area.t1 || centre + half <= area.t0) {
      continue;
    }
    const y = 2 * mm;
    const [left, right] = [edge(area, mm, centre - half), edge(area, mm, centre + half)];
    c.fillRect(left, y, right - left, line);
    if (centre - half >= area.t0) {
      c.fillRect(left, y, line, 2.2 * mm);
    }
    if (centre + half <= area.t1) {
      c.fillRect(right - line, y, line, 2.2 * mm);
    }
    if (centre >= area.t0 && centre <= area.t1) {
      c.fillRect(edge(area, mm, centre) - line, y - 0.6 * mm, 2 * line, 1.8 * mm);
    }
  }
}
