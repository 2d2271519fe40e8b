// Cluster letters and entropy on the time axis under the traces; shares of clusters where cells are too narrow.
import { fontOf } from "./backdrop.ts";
import { edge, type Pattern } from "./bands.ts";
import type { Overlay, Scene } from "./canvas.ts";
import { drawDensity } from "./density.ts";
import { textOn } from "./palette.ts";
import type { Pen } from "./pen.ts";
import { letter } from "./segmentation.ts";
import { isUncertain, MASKED, type Runs, UNCERTAIN } from "./segments.ts";

const NO_DATA = "no data";

export class Strips {
  readonly #widths = new Map<string, number>();
  readonly #letters = new Map<string, string>();
  #font = "";

  /** Between the columns `left` and `right` (exclusive). */
  draw(
    c: Pen,
    mm: number,
    scene: Scene,
    overlay: Overlay,
    runs: Runs,
    pattern: Pattern,
    left: number,
    right: number,
  ): void {
    const { density } = overlay.segmentation;
    if (scene.layout.density) {
      if (density) {
        const { clusterStrip, entropyStrip } = scene.layout;
        const area = { ...clusterStrip, height: entropyStrip.y + entropyStrip.height - clusterStrip.y };
        drawDensity(c, mm, area, density, overlay.colours, overlay.cluster);
      }
      return;
    }
    this.#setFont(fontOf(mm, scene, 3, 600));
    this.#drawClusters(c, mm, scene, overlay, runs, pattern, left, right);
    drawEntropy(c, mm, scene, overlay, runs, left, right);
  }

  #setFont(font: string): void {
    if (font !== this.#font) {
      this.#font = font;
      this.#widths.clear();
    }
  }

  #width(c: Pen, text: string): number {
    let width = this.#widths.get(text);
    if (width === undefined) {
      width = c.measureText(text).width;
      this.#widths.set(text, width);
    }
    return width;
  }

  #letterOn(colour: string): string {
    let on = this.#letters.get(colour);
    if (on === undefined) {
      on = textOn(colour);
      this.#letters.set(colour, on);
    }
    return on;
  }

  #drawClusters(
    c: Pen,
    mm: number,
    scene: Scene,
    overlay: Overlay,
    runs: Runs,
    pattern: Pattern,
    left: number,
    right: number,
  ): void {
    const { theme, layout } = scene;
    const strip = layout.clusterStrip;
    const y = Math.round(strip.y * mm);
    const h = Math.round(strip.height * mm);
    c.font = this.#font;
    c.textAlign = "center";
    c.textBaseline = "middle";
    for (let r = 0; r < runs.length; r++) {
      const x = edge(strip, mm, overlay.borders[runs.first[r]!]!);
      const w = edge(strip, mm, overlay.borders[runs.last[r]! + 1]!) - x;
      if (w <= 0 || x >= right || x + w <= left) {
        continue;
      }
      const look = runs.look[r]!;
      if (look >= 0) {
        const colour = overlay.colours[look] ?? theme.muted;
        c.globalAlpha = overlay.cluster >= 0 && overlay.cluster !== look ? 0.3 : 1;
        c.fillStyle = colour;
        c.fillRect(x, y, w, h);
        const text = letter(overlay.segmentation, look);
        if (w > this.#width(c, text) + 2 * scene.devicePixelRatio) {
          c.fillStyle = this.#letterOn(colour);
          c.fillText(text, x + w / 2, y + h / 2 + 0.15 * mm);
        }
        c.globalAlpha = 1;
        continue;
      }
      if (look === UNCERTAIN) {
        c.fillStyle = theme.uncertain;
        c.fillRect(x, y, w, h);
      }
      c.fillStyle = pattern(look);
      c.fillRect(x, y, w, h);
      if (look === MASKED && w > 1.3 * this.#width(c, NO_DATA)) {
        c.fillStyle = theme.ink;
        c.fillText(NO_DATA, x + w / 2, y + h / 2 + 0.15 * mm);
      }
    }
  }
}

function drawEntropy(
  c: Pen,
  mm: number,
  scene: Scene,
  overlay: Overlay,
  runs: Runs,
  left: number,
  right: number,
): void {
  const { theme, layout } = scene;
  const { segmentation, borders, threshold } = overlay;
  const strip = layout.entropyStrip;
  const x0 = Math.round(strip.x * mm);
  const width = Math.round((strip.t1 - strip.t0) * strip.speed * mm);
  const base = Math.round((strip.y + strip.height) * mm);
  const tall = strip.height * mm;
  const last = runs.length === 0 ? -1 : runs.last[runs.length - 1]!;
  for (const uncertain of [false, true]) {
    c.fillStyle = uncertain ? theme.muted : theme.faint;
    for (let i = runs.length === 0 ? 0 : runs.first[0]!; i <= last; i++) {
      const entropy = segmentation.entropy[i]!;
      if (segmentation.cluster[i]! < 0 || Number.isNaN(entropy) || isUncertain(entropy, threshold) !== uncertain) {
        continue;
      }
      const x = edge(strip, mm, borders[i]!);
      const w = edge(strip, mm, borders[i + 1]!) - x;
      if (w > 0 && x < right && x + w > left) {
        const level = Math.min(Math.max(entropy, 0), 1) * tall;
        c.fillRect(x, base - level, w, level);
      }
    }
  }
  const line = Math.max(1, Math.round(0.2 * mm));
  c.fillStyle = theme.faint;
  c.fillRect(x0, base, width, line);
  c.strokeStyle = theme.accent;
  c.lineWidth = Math.max(1, Math.round(0.3 * mm));
  c.setLineDash([1.2 * mm, 0.8 * mm]);
  c.beginPath();
  const y = Math.round(base - Math.min(Math.max(threshold, 0), 1) * tall) + 0.5;
  c.moveTo(x0, y);
  c.lineTo(x0 + width, y);
  c.stroke();
  c.setLineDash([]);
}
