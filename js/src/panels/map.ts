// One point a cell: the record's embedding on its two main axes.
import type { Overlay } from "../canvas.ts";
import { element, setText } from "../element.ts";
import { textOn } from "../palette.ts";
import type { Theme } from "../paper.ts";
import { letter } from "../segmentation.ts";
import { lookOf, MASKED, UNCERTAIN } from "../segments.ts";

/** So many cells at most are drawn: more hide one another, and cost as much as the picture of the trace. */
const MOST = 1500;
/** CSS px */
const MARGIN = { left: 22, right: 8, top: 8, bottom: 22 };
const HEIGHT = 236;
const REACH = 14;

export class MapPanel {
  readonly element: HTMLElement;
  readonly #canvas = element("canvas", { "data-ecg": "map", role: "img" });
  readonly #context = this.#canvas.getContext("2d")!;
  readonly #title = element("h3", {}, "Map of cells");
  /** x, y of each cell in CSS px; NaN = not drawn */
  #points = new Float64Array(0);
  #looks = new Int16Array(0);
  /** Everything but the ring around the pointed cell, and what it was drawn from. */
  readonly #still = document.createElement("canvas");
  #drawn: readonly unknown[] = [];
  #ring = -1;
  #copied = false;

  constructor(onHover: (cell: number) => void) {
    this.element = element("section", { class: "panel map" }, this.#title, this.#canvas);
    this.#canvas.addEventListener("pointermove", (event) => onHover(this.#nearest(event.offsetX, event.offsetY)));
    this.#canvas.addEventListener("pointerleave", () => onHover(-1));
  }

  paint(overlay: Overlay | null, width: number, theme: Theme, font: string): void {
    const map = overlay && overlay.segmentation.centre.length > 0 ? overlay.segmentation.map : null;
    this.element.hidden = map === null;
    if (!overlay || !map || width === 0) {
      return;
    }
    const [w, h] = [Math.round(width * devicePixelRatio), Math.round(HEIGHT * devicePixelRatio)];
    const wanted = [overlay.segmentation, overlay.colours, overlay.threshold, overlay.cluster, w, h, theme, font];
    const moved = wanted.some((value, i) => value !== this.#drawn[i]);
    if (!moved && overlay.cell === this.#ring) {
      return;
    }
    if (this.#canvas.width !== w || this.#canvas.height !== h) {
      for (const canvas of [this.#canvas, this.#still]) {
        canvas.width = w;
        canvas.height = h;
      }
      this.#canvas.style.width = `${w / devicePixelRatio}px`;
      this.#canvas.style.height = `${h / devicePixelRatio}px`;
    }
    const c = this.#context;
    if (moved) {
      if (overlay.segmentation !== this.#drawn[0] || w !== this.#drawn[4]) {
        this.#place(map, overlay, width);
      }
      this.#drawStill(c, overlay, theme, font, width);
      this.#drawn = wanted;
      this.#copied = false;
    } else {
      // Another cell is pointed at: the rest is copied, from when the pointer first moves.
      if (!this.#copied) {
        this.#drawStill(this.#still.getContext("2d")!, overlay, theme, font, width);
        this.#copied = true;
      }
      c.setTransform(1, 0, 0, 1, 0, 0);
      c.clearRect(0, 0, w, h);
      c.drawImage(this.#still, 0, 0);
      c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    }
    this.#drawRing(c, overlay, theme);
    this.#ring = overlay.cell;
  }

  #drawStill(c: CanvasRenderingContext2D, overlay: Overlay, theme: Theme, font: string, width: number): void {
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.clearRect(0, 0, width, HEIGHT);
    this.#drawAxes(c, overlay, theme, font, width);
    this.#drawPath(c, theme);
    this.#drawPoints(c, overlay, theme);
    this.#drawLetters(c, overlay, theme, font);
  }

  dispose(): void {
    this.#canvas.width = 0;
    this.#still.width = 0;
  }

  /** Equal units on both axes: distances on the map are distances in the embedding's plane. */
  #place(map: ArrayLike<number>, overlay: Overlay, width: number): void {
    const { segmentation, threshold } = overlay;
    const n = segmentation.centre.length;
    const points = this.#points.length === 2 * n ? this.#points : new Float64Array(2 * n);
    const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = 0; i < 2 * n; i++) {
      const masked = lookOf(segmentation, i >> 1, threshold) === MASKED;
      points[i] = masked ? Number.NaN : map[i]!;
      if (!masked) {
        low[i & 1] = Math.min(low[i & 1]!, map[i]!);
        high[i & 1] = Math.max(high[i & 1]!, map[i]!);
      }
    }
    const w = width - MARGIN.left - MARGIN.right - 12;
    const h = HEIGHT - MARGIN.top - MARGIN.bottom - 12;
    const unit = Math.min(w / (high[0]! - low[0]! || 1), h / (high[1]! - low[1]! || 1));
    const x0 = MARGIN.left + 6 + w / 2 - (unit * (low[0]! + high[0]!)) / 2;
    const y0 = MARGIN.top + 6 + h / 2 + (unit * (low[1]! + high[1]!)) / 2;
    for (let i = 0; i < n; i++) {
      points[2 * i] = x0 + unit * points[2 * i]!;
      points[2 * i + 1] = y0 - unit * points[2 * i + 1]!;
    }
    this.#points = points;
  }

  #drawAxes(c: CanvasRenderingContext2D, overlay: Overlay, theme: Theme, font: string, width: number): void {
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
    const every = Math.ceil(overlay.segmentation.centre.length / MOST);
    setText(this.#title, every > 1 ? `Map of cells (one in ${every})` : "Map of cells");
    c.fillText(name(0), MARGIN.left + w / 2, HEIGHT - 7);
    c.save();
    c.translate(13, MARGIN.top + h / 2);
    c.rotate(-Math.PI / 2);
    c.fillText(name(1), 0, 0);
    c.restore();
    const label = `Cells by ${name(0)} and ${name(1)}, coloured by cluster`;
    if (this.#canvas.getAttribute("aria-label") !== label) {
      this.#canvas.setAttribute("aria-label", label);
    }
  }

  /** Cells in their order of time: a beat is a loop. */
  #drawPath(c: CanvasRenderingContext2D, theme: Theme): void {
    c.strokeStyle = theme.faint;
    c.globalAlpha = 0.55;
    c.lineWidth = 0.75;
    c.beginPath();
    let broken = true;
    const step = Math.ceil(this.#points.length / 2 / MOST);
    for (let i = 0; i < this.#points.length; i += 2 * step) {
      const x = this.#points[i]!;
      if (Number.isNaN(x)) {
        broken = true;
        continue;
      }
      c[broken ? "moveTo" : "lineTo"](x, this.#points[i + 1]!);
      broken = false;
    }
    c.stroke();
    c.globalAlpha = 1;
  }

  /** One path for all points of a look: a fill for each of them would cost more than the picture of the trace. */
  #drawPoints(c: CanvasRenderingContext2D, overlay: Overlay, theme: Theme): void {
    const { segmentation, colours, threshold } = overlay;
    const n = segmentation.centre.length;
    if (this.#looks.length < n) {
      this.#looks = new Int16Array(n);
    }
    let present = 0; // a bit for each look
    for (let i = 0; i < n; i++) {
      this.#looks[i] = lookOf(segmentation, i, threshold);
      present |= 1 << (this.#looks[i]! - MASKED);
    }
    const step = Math.ceil(n / MOST);
    for (let look = UNCERTAIN; look < colours.length; look++) {
      if (!(present & (1 << (look - MASKED)))) {
        continue;
      }
      c.beginPath();
      for (let i = 0; i < n; i += step) {
        const faded = overlay.cluster >= 0 && overlay.cluster !== segmentation.cluster[i];
        if (this.#looks[i] === look && !Number.isNaN(this.#points[2 * i]) && !(faded && look === UNCERTAIN)) {
          c.moveTo(this.#points[2 * i]! + 2.6, this.#points[2 * i + 1]!);
          c.arc(this.#points[2 * i]!, this.#points[2 * i + 1]!, 2.6, 0, 2 * Math.PI);
        }
      }
      c.globalAlpha = overlay.cluster >= 0 && look >= 0 && overlay.cluster !== look ? 0.15 : 1;
      c.fillStyle = look === UNCERTAIN ? theme.paper : (colours[look] ?? theme.muted);
      c.fill();
      if (look === UNCERTAIN) {
        c.strokeStyle = theme.muted;
        c.lineWidth = 0.9;
        c.stroke();
      }
    }
    c.globalAlpha = 1;
  }

  /** A letter at the medoid-like middle of each cluster's certain cells. */
  #drawLetters(c: CanvasRenderingContext2D, overlay: Overlay, theme: Theme, font: string): void {
    const { segmentation, colours, threshold } = overlay;
    const sums = segmentation.slot.length === 0 ? [] : Array.from(segmentation.slot, () => ({ x: 0, y: 0, n: 0 }));
    for (let i = 0; i < segmentation.centre.length; i++) {
      const sum = sums[segmentation.cluster[i]!];
      if (sum && lookOf(segmentation, i, threshold) >= 0) {
        sum.x += this.#points[2 * i]!;
        sum.y += this.#points[2 * i + 1]!;
        sum.n += 1;
      }
    }
    c.font = `600 10px ${font}`;
    c.textBaseline = "middle";
    sums.forEach(({ x, y, n }, k) => {
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

  #drawRing(c: CanvasRenderingContext2D, overlay: Overlay, theme: Theme): void {
    const [x, y] = [this.#points[2 * overlay.cell], this.#points[2 * overlay.cell + 1]];
    if (overlay.cell >= 0 && x !== undefined && y !== undefined && !Number.isNaN(x)) {
      c.beginPath();
      c.arc(x, y, 5.5, 0, 2 * Math.PI);
      c.strokeStyle = theme.accent;
      c.lineWidth = 2;
      c.stroke();
    }
  }

  #nearest(x: number, y: number): number {
    let best = -1;
    let least = REACH * REACH;
    for (let i = 0; i < this.#points.length; i += 2) {
      const distance = (this.#points[i]! - x) ** 2 + (this.#points[i + 1]! - y) ** 2;
      if (distance < least) {
        least = distance;
        best = i / 2;
      }
    }
    return best;
  }
}
