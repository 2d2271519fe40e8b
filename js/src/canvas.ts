// Paints one canvas from layers that are kept: grid, traces, colours along the traces. A new threshold or another
// cell under the pointer repaints the stretches that look otherwise than before, and nothing else.
import { drawGrid, drawText, gridKey } from "./backdrop.ts";
import { columnColours, drawBands, drawCell, edge } from "./bands.ts";
import { hatch } from "./hatch.ts";
import { Ink, pixelOf } from "./ink.ts";
import { type Area, type Layout, toX } from "./layout.ts";
import { GAIN, LARGE, type Theme } from "./paper.ts";
import type { Recording } from "./recording.ts";
import type { Segmentation } from "./segmentation.ts";
import { changedStretches, findRuns, MASKED, Runs } from "./segments.ts";
import { Strips } from "./strips.ts";
import { Polyline, trace } from "./trace.ts";

export type Colouring = "bands" | "trace";

export interface Scene {
  readonly layout: Layout;
  readonly recording: Recording;
  /** CSS px for one mm */
  readonly scale: number;
  readonly devicePixelRatio: number;
  readonly theme: Theme;
  readonly font: string;
}

export interface Overlay {
  readonly segmentation: Segmentation;
  readonly borders: Float64Array;
  readonly colours: readonly string[];
  readonly threshold: number;
  readonly colouring: Colouring;
  /** Cell under the pointer or -1, and the cluster pointed at in a panel or -1. */
  readonly cell: number;
  readonly cluster: number;
}

/** Share of the canvas above which one repaint of all is less than many of parts. */
const MOST = 0.6;

export class Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #grid = document.createElement("canvas");
  readonly #traces = document.createElement("canvas");
  readonly #wash = document.createElement("canvas");
  readonly #line = new Polyline();
  readonly #strips = new Strips();
  readonly #patterns = new Map<string, CanvasPattern | string>();
  #ink = new Ink(0, 0);
  #columns = new Uint32Array(0);
  #gridKey = "";
  #scene: Scene | null = null;
  #areas: Area[] = [];
  /** Device pixels for one mm */
  #mm = 1;
  /** The whole canvas must be painted; the colours along the traces must be drawn. */
  #fresh = true;
  #unwashed = true;
  #last: Overlay | null = null;
  #runs = new Runs();
  #before = new Runs();
  readonly #stretches: number[] = [];
  readonly #rects: number[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false })!;
  }

  /** Draws what stands still: grid and traces. */
  setScene(scene: Scene): void {
    const mm = scene.scale * scene.devicePixelRatio;
    const { layout, recording } = scene;
    if (mm !== this.#mm || scene.theme !== this.#scene?.theme) {
      this.#patterns.clear();
    }
    this.#scene = scene;
    this.#mm = mm;
    this.#areas = [...layout.blocks.flatMap((block) => block.areas), layout.entropyStrip];
    this.#fresh = true;
    this.#unwashed = true;
    this.#resize(Math.round(layout.width * mm), Math.round(layout.height * mm), scene.devicePixelRatio);
    const key = gridKey(mm, scene);
    if (key !== this.#gridKey) {
      this.#gridKey = key;
      const c = this.#grid.getContext("2d")!;
      c.clearRect(0, 0, this.#grid.width, this.#grid.height);
      drawGrid(c, mm, scene);
    }
    this.#line.clear();
    for (const block of layout.blocks) {
      for (const { lead, area, baseline, offset } of block.traces) {
        const signal = recording.signal[lead]!;
        const rate = recording.samplingRate;
        const from = Math.max(0, Math.ceil((area.t0 - recording.start) * rate - 1e-6));
        // One sample more than the stretch holds closes the line at the column's border.
        const to = Math.min(signal.length, Math.floor((area.t1 - recording.start) * rate + 1e-6) + 1);
        const frame = {
          x0: toX(area, recording.start + from / rate) * mm,
          y0: (baseline + offset * GAIN) * mm,
          perSample: (area.speed * mm) / rate,
          perUnit: GAIN * mm,
        };
        trace(signal, from, to, frame, this.#line);
      }
    }
    this.#ink.clear();
    this.#ink.stroke(this.#line, Math.max(1, 0.28 * mm), pixelOf(scene.theme.ink));
    const c = this.#traces.getContext("2d")!;
    this.#ink.put(c);
    drawText(c, mm, scene, [recording.start, recording.end]);
  }

  #resize(width: number, height: number, ratio: number): void {
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      for (const canvas of [this.#canvas, this.#grid, this.#traces]) {
        canvas.width = width;
        canvas.height = height;
      }
      this.#ink = new Ink(width, height);
      this.#columns = new Uint32Array(width + 1);
      this.#gridKey = "";
    }
    this.#canvas.style.width = `${width / ratio}px`;
    this.#canvas.style.height = `${height / ratio}px`;
  }

  paint(overlay: Overlay | null): void {
    const scene = this.#scene;
    if (!scene) {
      return;
    }
    const last = this.#last;
    const same =
      !this.#fresh &&
      overlay !== null &&
      last?.segmentation === overlay.segmentation &&
      last.colours === overlay.colours &&
      last.borders === overlay.borders &&
      last.colouring === overlay.colouring &&
      last.cluster === overlay.cluster;
    [this.#before, this.#runs] = [this.#runs, this.#before];
    this.#findRuns(overlay);
    this.#rects.length = 0;
    if (same) {
      this.#collect(last, overlay);
    }
    this.#last = overlay;
    this.#fresh = false;
    const { width, height } = this.#canvas;
    let area = 0;
    for (let i = 0; i < this.#rects.length; i += 4) {
      area += this.#rects[i + 2]! * this.#rects[i + 3]!;
    }
    if (!same || area > MOST * width * height) {
      this.#rects.length = 0;
      this.#rects.push(0, 0, width, height);
    }
    if (overlay?.colouring === "trace") {
      this.#colourTraces(scene, overlay);
    }
    for (let i = 0; i < this.#rects.length; i += 4) {
      this.#paintRect(scene, overlay, this.#rects[i]!, this.#rects[i + 1]!, this.#rects[i + 2]!, this.#rects[i + 3]!);
    }
  }

  /** Of the cells that can be seen: what a recording holds beyond the paper's edge costs nothing. */
  #findRuns(overlay: Overlay | null): void {
    this.#runs.length = 0;
    if (!overlay) {
      return;
    }
    const { borders, segmentation, threshold } = overlay;
    const [t0, t1] = this.#scene!.layout.window;
    const n = segmentation.centre.length;
    const from = Math.max(0, firstAbove(borders, t0) - 1);
    const to = Math.min(n, firstAbove(borders, t1));
    findRuns(segmentation, threshold, from, to, this.#runs);
  }

  /** Rectangles that look otherwise than before. */
  #collect(before: Overlay, now: Overlay): void {
    const mm = this.#mm;
    const { layout } = this.#scene!;
    if (before.threshold !== now.threshold && !layout.density) {
      const n = changedStretches(this.#before, this.#runs, this.#stretches);
      for (const area of [...this.#areas.slice(0, -1), layout.clusterStrip]) {
        for (let i = 0; i < n; i++) {
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
      this.#push(x * mm - 1, y * mm - 2, (x + (t1 - t0) * speed) * mm + 1, (y + height) * mm + 2);
    }
    if (before.cell !== now.cell) {
      this.#pushCell(before);
      this.#pushCell(now);
    }
  }

  #push(left: number, top: number, right: number, bottom: number): void {
    const x = Math.max(0, Math.floor(left));
    const y = Math.max(0, Math.floor(top));
    const w = Math.min(this.#canvas.width, Math.ceil(right)) - x;
    const h = Math.min(this.#canvas.height, Math.ceil(bottom)) - y;
    if (w > 0 && h > 0) {
      this.#rects.push(x, y, w, h);
    }
  }

  #pushCell({ cell, borders, segmentation }: Overlay): void {
    if (cell < 0 || cell >= segmentation.centre.length) {
      return;
    }
    const mm = this.#mm;
    const pad = Math.ceil(0.35 * mm) + 2;
    const centre = segmentation.centre[cell]!;
    const half = segmentation.width[cell]! / 2;
    for (const area of this.#areas) {
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

  #paintRect(scene: Scene, overlay: Overlay | null, x: number, y: number, w: number, h: number): void {
    const c = this.#context;
    const mm = this.#mm;
    const { layout } = scene;
    const whole = w === this.#canvas.width && h === this.#canvas.height;
    if (!whole) {
      c.save();
      c.beginPath();
      c.rect(x, y, w, h);
      c.clip();
    }
    c.fillStyle = scene.theme.paper;
    c.fillRect(x, y, w, h);
    if (overlay) {
      for (const area of this.#areas) {
        if (area !== layout.entropyStrip && area.y * mm < y + h && (area.y + area.height) * mm > y) {
          drawBands(c, mm, area, scene, overlay, this.#runs, this.#pattern, x, x + w);
        }
      }
    }
    const gridHeight = Math.min(h, this.#grid.height - y);
    c.drawImage(this.#grid, x, y, w, gridHeight, x, y, w, gridHeight);
    if (overlay) {
      if (overlay.colouring === "trace") {
        c.drawImage(this.#wash, x, y, w, h, x, y, w, h);
      }
      if (y + h > layout.clusterStrip.y * mm) {
        this.#strips.draw(c, mm, scene, overlay, this.#runs, this.#pattern, x, x + w);
      }
      drawCell(c, mm, scene, overlay, this.#areas);
    }
    c.drawImage(this.#traces, x, y, w, h, x, y, w, h);
    if (!whole) {
      c.restore();
    }
  }

  /** A wide coloured line under the thin one: the colour reads on any paper, the trace stays exact. */
  #colourTraces(scene: Scene, overlay: Overlay): void {
    const mm = this.#mm;
    const { width, height } = this.#canvas;
    if (this.#wash.width !== width || this.#wash.height !== height) {
      this.#wash.width = width;
      this.#wash.height = height;
      this.#unwashed = true;
    }
    const c = this.#wash.getContext("2d")!;
    const rects = this.#unwashed ? [0, 0, width, height] : this.#rects;
    if (this.#unwashed) {
      this.#ink.clear();
      this.#ink.wash(this.#line, Math.max(1.5 * scene.devicePixelRatio, 0.55 * mm), pixelOf(scene.theme.muted));
      this.#unwashed = false;
    }
    for (const area of this.#areas) {
      if (area === scene.layout.entropyStrip) {
        continue;
      }
      columnColours(this.#columns, mm, area, scene, overlay, this.#runs);
      const [top, bottom] = [area.y <= LARGE ? 0 : Math.round(area.y * mm), Math.round((area.y + area.height) * mm)];
      const [left, right] = [edge(area, mm, area.t0) - LARGE, edge(area, mm, area.t1) + LARGE];
      for (let i = 0; i < rects.length; i += 4) {
        const [x, y] = [Math.max(left, rects[i]!), Math.max(top, rects[i + 1]!)];
        const x1 = Math.min(right, rects[i]! + rects[i + 2]!);
        const y1 = Math.min(bottom, rects[i + 1]! + rects[i + 3]!);
        if (x < x1 && y < y1) {
          this.#ink.tint(x, y, x1, y1, this.#columns);
        }
      }
    }
    for (let i = 0; i < rects.length; i += 4) {
      this.#ink.put(c, rects[i], rects[i + 1], rects[i + 2], rects[i + 3]);
    }
  }

  readonly #pattern = (look: number): CanvasPattern | string => {
    const key = look === MASKED ? "crosses" : "lines";
    let kept = this.#patterns.get(key);
    if (kept === undefined) {
      kept = hatch(this.#context, this.#scene!.theme.hatch, this.#mm, key);
      this.#patterns.set(key, kept);
    }
    return kept;
  };

  /** Frees the bitmaps: browsers keep those of detached canvases for long. */
  dispose(): void {
    for (const canvas of [this.#canvas, this.#grid, this.#traces, this.#wash]) {
      canvas.width = 0;
      canvas.height = 0;
    }
    this.#ink = new Ink(0, 0);
    this.#patterns.clear();
    this.#scene = null;
    this.#last = null;
  }
}

/** Index of the first value above a limit in an ascending list. */
function firstAbove(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! > limit) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
