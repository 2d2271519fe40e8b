// What the map of cells is drawn of, beside its points.
import { textOn } from "../palette.ts";
import type { Theme } from "../paper.ts";
import { letter } from "../segmentation.ts";
import { lookOf } from "../segments.ts";
import type { Middle } from "./dots.ts";
import type { View } from "./panel.ts";

/** CSS px */
export const MARGIN = { left: 22, right: 8, top: 8, bottom: 22 };
export const HEIGHT = 236;
/** Up to so many cells are drawn as discs and joined in their order of time; more as squares, pixel by pixel. */
export const FEW = 1500;

/** x, y of each cell in CSS px; NaN = not drawn */
type Points = Float64Array;

export function drawAxes(
  canvas: HTMLCanvasElement,
  c: CanvasRenderingContext2D,
  overlay: View,
  theme: Theme,
  font: string,
  width: number,
): void {
  c.strokeStyle = theme.faint;
  c.lineWidth = 1;
  const [w, h] = [width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
  c.strokeRect(MARGIN.left + 0.5, MARGIN.top + 0.5, w - 1, h - 1);
  const name = (i: number) => {
    const share = overlay.segmentation.mapExplained[i];
    return `PC ${i + 1}${share === undefined ? "" : ` (${Math.round(100 * share)} % of variance)`}`;
  };
  c.fillStyle = theme.muted;
  c.font = `11px ${font}`;
  c.textAlign = "center";
  c.textBaseline = "alphabetic";
  c.fillText(name(0), MARGIN.left + w / 2, HEIGHT - 7);
  c.save();
  c.translate(13, MARGIN.top + h / 2);
  c.rotate(-Math.PI / 2);
  c.fillText(name(1), 0, 0);
  c.restore();
  const label = `Cells by ${name(0)} and ${name(1)}, coloured by cluster`;
  if (canvas.getAttribute("aria-label") !== label) {
    canvas.setAttribute("aria-label", label);
  }
}

/** Cells in their order of time: a beat is a loop. */
export function drawPath(points: Points, c: CanvasRenderingContext2D, theme: Theme): void {
  if (points.length > 2 * FEW) {
    return;
  }
  c.strokeStyle = theme.faint;
  c.globalAlpha = 0.55;
  c.lineWidth = 0.75;
  c.beginPath();
  let broken = true;
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i]!;
    if (Number.isNaN(x)) {
      broken = true;
      continue;
    }
    c[broken ? "moveTo" : "lineTo"](x, points[i + 1]!);
    broken = false;
  }
  c.stroke();
  c.globalAlpha = 1;
}

/** Means of each cluster's certain cells. */
export function middlesOf(points: Points, { segmentation, threshold }: View): Middle[] {
  const middles = Array.from(segmentation.slot, () => ({ x: 0, y: 0, n: 0 }));
  for (let i = 0; i < segmentation.centre.length; i++) {
    const middle = middles[segmentation.cluster[i]!];
    if (middle && lookOf(segmentation, i, threshold) >= 0) {
      middle.x += points[2 * i]!;
      middle.y += points[2 * i + 1]!;
      middle.n += 1;
    }
  }
  return middles;
}

/** A letter in the middle of each cluster's certain cells. */
export function drawLetters(
  middles: readonly Middle[],
  c: CanvasRenderingContext2D,
  overlay: View,
  theme: Theme,
  font: string,
): void {
  const { segmentation, colours } = overlay;
  c.font = `600 10px ${font}`;
  c.textBaseline = "middle";
  middles.forEach(({ x, y, n }, k) => {
    if (n > 0 && (overlay.cluster < 0 || overlay.cluster === k)) {
      const colour = colours[k] ?? "#888888";
      c.beginPath();
      c.arc(x / n, y / n, 7, 0, 2 * Math.PI);
      c.fillStyle = colour;
      c.fill();
      c.strokeStyle = theme.paper;
      c.lineWidth = 1.5;
      c.stroke();
      c.fillStyle = textOn(colour);
      c.fillText(letter(segmentation, k), x / n, y / n + 0.5);
    }
  });
}

export function drawRing(points: Points, c: CanvasRenderingContext2D, overlay: View, theme: Theme): void {
  const [x, y] = [points[2 * overlay.cell], points[2 * overlay.cell + 1]];
  if (overlay.cell >= 0 && x !== undefined && y !== undefined && !Number.isNaN(x)) {
    c.beginPath();
    c.arc(x, y, 5.5, 0, 2 * Math.PI);
    c.strokeStyle = theme.accent;
    c.lineWidth = 2;
    c.stroke();
  }
}
