// One point a cell: the record's embedding on its two main axes.
import { element, setText } from "../element.ts";
import type { Theme } from "../paper.ts";
import { lookOf, MASKED, UNCERTAIN } from "../segments.ts";
import { Dots } from "./dots.ts";
import { inside } from "./intervals.ts";
import { drawAxes, drawLetters, drawPath, drawRing, FEW, HEIGHT, MARGIN, middlesOf } from "./mapdraw.ts";
import { Memo, type Panel, type View } from "./panel.ts";

/** CSS px */
const REACH = 14;
const HELP =
  "A point a cell. Draw around points to select them on the trace; with the keyboard, arrows move from cell to cell, Enter selects those around it.";

/** CSS px around the ring that Enter selects, and between two points of a lasso */
const AROUND = 24;
const STRIDE = 4;

export class MapPanel implements Panel {
  readonly id = "map";
  readonly title = "Map";
  readonly element: HTMLElement;
  readonly #canvas = element("canvas", { "data-ecg": "map", role: "img", tabindex: 0 });
  readonly #note = element("p", { class: "note" }, HELP);
  /** x, y of the corners of a lasso that is being drawn, CSS px */
  #lasso: number[] | null = null;
  readonly #context = this.#canvas.getContext("2d")!;
  /** x, y of each cell in CSS px; NaN = not drawn */
  #points = new Float64Array(0);
  #looks = new Int16Array(0);
  /** Everything but the ring around the pointed cell, and what it was drawn from. */
  readonly #still = document.createElement("canvas");
  readonly #dots = new Dots();
  readonly #placed = new Memo();
  #drawn: readonly unknown[] = [];
  #ring = -1;
  #accent = "";
  #copied = false;

  #cell = -1;
  #cells = 0;

  constructor(onHover: (cell: number) => void, onSelect: (cells: Uint8Array, label: string) => void) {
    this.element = element("div", { class: "map" }, this.#canvas, this.#note);
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button === 0) {
        this.#lasso = [event.offsetX, event.offsetY];
        canvas.setPointerCapture(event.pointerId);
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = [event.offsetX, event.offsetY];
      const last = this.#lasso?.slice(-2);
      if (last && this.#lasso && Math.hypot(last[0]! - x, last[1]! - y) >= STRIDE) {
        this.#lasso.push(x, y);
        this.#drawLasso();
      }
      onHover(this.#lasso && this.#lasso.length > 2 ? -1 : this.#nearest(x, y));
    });
    canvas.addEventListener("pointerup", () => {
      const lasso = this.#lasso;
      this.#lasso = null;
      this.#drawn = [];
      if (lasso && lasso.length >= 6) {
        onSelect(inside(this.#points, lasso), "map, lasso");
      } else if (lasso) {
        onSelect(new Uint8Array(0), "map"); // a click beside everything takes the selection back
      }
      onHover(-1);
    });
    canvas.addEventListener("pointercancel", () => {
      this.#lasso = null;
      this.#drawn = [];
    });
    canvas.addEventListener("pointerleave", () => this.#lasso ?? onHover(-1));
    canvas.addEventListener("blur", () => onHover(-1));
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 10, ArrowDown: -10 }[event.key];
      if (by !== undefined) {
        onHover(Math.min(Math.max(this.#cell + by, 0), this.#cells - 1));
      } else if (event.key === "Enter" && this.#cell >= 0) {
        onSelect(this.#around(this.#cell), "map, around a cell");
      } else if (event.key === "Escape") {
        onHover(-1);
        onSelect(new Uint8Array(0), "map");
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  update(view: View): void {
    const { theme, font, width } = view;
    this.#cell = view.cell;
    this.#cells = view.segmentation.centre.length;
    const map = view.segmentation.centre.length > 0 ? view.segmentation.map : null;
    this.#canvas.hidden = map === null;
    setText(this.#note, map ? HELP : "This result has no map of its cells.");
    if (!map || this.#lasso) {
      return;
    }
    this.#paint(map, view, width, theme, font);
  }

  #paint(map: ArrayLike<number>, overlay: View, width: number, theme: Theme, font: string): void {
    const [w, h] = [Math.round(width * devicePixelRatio), Math.round(HEIGHT * devicePixelRatio)];
    const { segmentation, colours, threshold, cluster, selected } = overlay;
    const wanted = [segmentation, colours, threshold, cluster, w, h, theme, font, selected];
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
    this.#accent = theme.accent;
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
    drawRing(this.#points, c, overlay, theme);
    this.#ring = overlay.cell;
  }

  #drawStill(c: CanvasRenderingContext2D, overlay: View, theme: Theme, font: string, width: number): void {
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.clearRect(0, 0, width, HEIGHT);
    drawAxes(this.#canvas, c, overlay, theme, font, width);
    drawPath(this.#points, c, theme);
    this.#drawPoints(c, overlay, theme);
    this.#drawSelected(c, overlay, theme);
    const many = overlay.segmentation.centre.length > FEW;
    drawLetters(many ? this.#dots.middles : middlesOf(this.#points, overlay), c, overlay, theme, font);
  }

  dispose(): void {
    this.#canvas.width = 0;
    this.#still.width = 0;
    this.#dots.dispose();
  }

  /** Equal units on both axes: distances on the map are distances in the embedding's plane. */
  #place(map: ArrayLike<number>, overlay: View, width: number): void {
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

  /** One path for all points of a look: a fill for each of them would cost more than the picture of the trace. */
  #drawPoints(c: CanvasRenderingContext2D, overlay: View, theme: Theme): void {
    const { segmentation, colours, threshold } = overlay;
    const n = segmentation.centre.length;
    if (n > FEW) {
      this.#drawMany(c, overlay, theme);
      return;
    }
    if (this.#looks.length < n) {
      this.#looks = new Int16Array(n);
    }
    let present = 0; // a bit for each look
    for (let i = 0; i < n; i++) {
      this.#looks[i] = lookOf(segmentation, i, threshold);
      present |= 1 << (this.#looks[i]! - MASKED);
    }
    for (let look = UNCERTAIN; look < colours.length; look++) {
      if (!(present & (1 << (look - MASKED)))) {
        continue;
      }
      c.beginPath();
      for (let i = 0; i < n; i++) {
        const faded =
          (overlay.cluster >= 0 && overlay.cluster !== segmentation.cluster[i]) ||
          (overlay.selected !== null && !overlay.selected[i] && look === UNCERTAIN);
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

  /** All of them, however many. */
  #drawMany(c: CanvasRenderingContext2D, overlay: View, theme: Theme): void {
    const { width, height } = this.#canvas;
    const dots = this.#dots;
    if (this.#placed.changed(overlay.segmentation, overlay.selected, width, height)) {
      dots.place(this.#points, overlay, width, height, devicePixelRatio);
    }
    dots.paint(overlay, theme);
    c.drawImage(dots.canvas, 0, 0, width / devicePixelRatio, height / devicePixelRatio);
  }

  /** The selected cells, ringed. */
  #drawSelected(c: CanvasRenderingContext2D, { selected }: View, theme: Theme): void {
    if (!selected || selected.length > FEW) {
      return;
    }
    c.beginPath();
    for (let i = 0; i < selected.length; i++) {
      const [x, y] = [this.#points[2 * i]!, this.#points[2 * i + 1]!];
      if (selected[i] && !Number.isNaN(x)) {
        c.moveTo(x + 4, y);
        c.arc(x, y, 4, 0, 2 * Math.PI);
      }
    }
    c.strokeStyle = theme.ink;
    c.lineWidth = 1;
    c.stroke();
  }

  #drawLasso(): void {
    const c = this.#context;
    const [x0, y0, x1, y1] = this.#lasso!.slice(-4) as [number, number, number, number];
    c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    c.strokeStyle = this.#accent;
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
  }

  #around(cell: number): Uint8Array {
    const [x, y] = [this.#points[2 * cell]!, this.#points[2 * cell + 1]!];
    const out = new Uint8Array(this.#cells);
    for (let i = 0; i < out.length; i++) {
      out[i] = Math.hypot(this.#points[2 * i]! - x, this.#points[2 * i + 1]! - y) <= AROUND ? 1 : 0;
    }
    return out;
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
