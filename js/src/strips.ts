// Cluster letters and entropy on the time axis under the traces.
import type { Overlay, Scene } from "./canvas.ts";
import { type Area, toX } from "./layout.ts";
import { textOn } from "./palette.ts";
import { SPEED } from "./paper.ts";
import { letter } from "./segmentation.ts";
import { isUncertain, type Kind } from "./segments.ts";

type Pattern = (kind: Kind) => CanvasPattern | string;

/** Left and right edge in device pixels of a stretch of time inside an area, or null outside it. */
export function spanOf(area: Area, mm: number, start: number, end: number): [number, number] | null {
  const from = Math.max(start, area.t0);
  const to = Math.min(end, area.t1);
  return from < to ? [Math.round(toX(area, from) * mm), Math.round(toX(area, to) * mm)] : null;
}

/** Sizes are mm of paper, yet never below `least` CSS px. */
export function setFont(
  c: CanvasRenderingContext2D,
  mm: number,
  scene: Scene,
  size: number,
  weight: number,
  least = 10,
): void {
  c.font = `${weight} ${Math.max(size * mm, least * scene.devicePixelRatio).toFixed(1)}px ${scene.font}`;
}

export function drawStrips(
  c: CanvasRenderingContext2D,
  mm: number,
  scene: Scene,
  overlay: Overlay,
  pattern: Pattern,
): void {
  drawClusters(c, mm, scene, overlay, pattern);
  drawEntropy(c, mm, scene, overlay);
}

function drawClusters(c: CanvasRenderingContext2D, mm: number, scene: Scene, overlay: Overlay, pattern: Pattern): void {
  const { theme, layout } = scene;
  const strip = layout.clusterStrip;
  const y = Math.round(strip.y * mm);
  const h = Math.round(strip.height * mm);
  setFont(c, mm, scene, 3, 600);
  c.textAlign = "center";
  c.textBaseline = "middle";
  for (const run of overlay.runs) {
    const span = spanOf(strip, mm, run.start, run.end);
    if (!span) {
      continue;
    }
    const [x0, x1] = span;
    const middle = (x0 + x1) / 2;
    if (run.kind === "cluster") {
      const colour = overlay.colours[run.cluster] ?? theme.muted;
      c.globalAlpha = overlay.cluster >= 0 && overlay.cluster !== run.cluster ? 0.3 : 1;
      c.fillStyle = colour;
      c.fillRect(x0, y, x1 - x0, h);
      const text = letter(overlay.segmentation, run.cluster);
      if (x1 - x0 > c.measureText(text).width + 2 * scene.devicePixelRatio) {
        c.fillStyle = textOn(colour);
        c.fillText(text, middle, y + h / 2 + 0.15 * mm);
      }
      c.globalAlpha = 1;
      continue;
    }
    if (run.kind === "uncertain") {
      c.fillStyle = theme.uncertain;
      c.fillRect(x0, y, x1 - x0, h);
    }
    c.fillStyle = pattern(run.kind);
    c.fillRect(x0, y, x1 - x0, h);
    if (run.kind === "masked" && x1 - x0 > 1.3 * c.measureText("no data").width) {
      c.fillStyle = theme.ink;
      c.fillText("no data", middle, y + h / 2 + 0.15 * mm);
    }
  }
}

function drawEntropy(c: CanvasRenderingContext2D, mm: number, scene: Scene, overlay: Overlay): void {
  const { theme, layout } = scene;
  const { segmentation, borders, threshold } = overlay;
  const strip = layout.entropyStrip;
  const left = Math.round(strip.x * mm);
  const width = Math.round((strip.t1 - strip.t0) * SPEED * mm);
  const base = Math.round((strip.y + strip.height) * mm);
  const level = (value: number) => base - Math.min(Math.max(value, 0), 1) * strip.height * mm;
  for (let i = 0; i < segmentation.centre.length; i++) {
    const span = spanOf(strip, mm, borders[i]!, borders[i + 1]!);
    const entropy = segmentation.entropy[i]!;
    if (span && segmentation.cluster[i]! >= 0 && !Number.isNaN(entropy)) {
      c.fillStyle = isUncertain(entropy, threshold) ? theme.muted : theme.faint;
      c.fillRect(span[0], level(entropy), span[1] - span[0], base - level(entropy));
    }
  }
  const line = Math.max(1, Math.round(0.2 * mm));
  c.fillStyle = theme.faint;
  c.fillRect(left, base, width, line);
  c.strokeStyle = theme.accent;
  c.lineWidth = Math.max(1, Math.round(0.3 * mm));
  c.setLineDash([1.2 * mm, 0.8 * mm]);
  c.beginPath();
  c.moveTo(left, Math.round(level(threshold)) + 0.5);
  c.lineTo(left + width, Math.round(level(threshold)) + 0.5);
  c.stroke();
  c.setLineDash([]);
}
