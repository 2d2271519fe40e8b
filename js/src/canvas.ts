// Paints one canvas from layers that are kept: grid, traces, colours along the traces. A new threshold or another
// cell under the pointer repaints the stretches that look otherwise than before, and nothing else.
import { drawFlags, drawGrid, drawText, gridKey } from "./backdrop.ts";
import { columnColours, drawBands, drawCell, edge } from "./bands.ts";
import { type Caliper, drawCalipers } from "./calipers.ts";
import { Changes } from "./changes.ts";
import type { Flag } from "./flags.ts";
import { hatch } from "./hatch.ts";
import { Ink, pixelOf } from "./ink.ts";
import type { Area, Layout } from "./layout.ts";
import { lineOf } from "./lines.ts";
import { LARGE, type Theme } from "./paper.ts";
import type { Recording } from "./recording.ts";
import type { Segmentation } from "./segmentation.ts";
import { MASKED, Runs, runsIn } from "./segments.ts";
import { Strips } from "./strips.ts";
import { isReadable, Polyline } from "./trace.ts";

export type Colouring = "bands" | "trace" | "strip";

export interface Scene {
  readonly layout: Layout;
  readonly recording: Recording;
  /** CSS px for one mm */
  readonly scale: number;
  readonly devicePixelRatio: number;
  readonly theme: Theme;
  readonly font: string;
  readonly flags?: readonly Flag[];
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

export class Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #grid = document.createElement("canvas");
  readonly #traces = document.createElement("canvas");
  readonly #wash = document.createElement("canvas");
  readonly #line = new Polyline();
  readonly #strips = new Strips();
  readonly #patterns = new Map<string, CanvasPattern | string>();
  readonly #ink = new Ink();
  #calipers: readonly Caliper[] = [];
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
  readonly #changes = new Changes();

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false })!;
  }

  /** Draws what stands still, grid and traces, unless that is as it was but for the paper's margin. */
  setScene(scene: Scene): void {
    const mm = scene.scale * scene.devicePixelRatio;
    const { layout, recording } = scene;
    const before = this.#scene;
    if (mm !== this.#mm || scene.theme !== before?.theme) {
      this.#patterns.clear();
    }
    this.#scene = scene;
    this.#mm = mm;
    this.#areas = [...layout.blocks.flatMap((block) => block.areas), layout.entropyStrip];
    this.#fresh = true;
    const [width, height] = [Math.round(layout.width * mm), Math.round(layout.height * mm)];
    const still =
      before?.recording === recording &&
      before.theme === scene.theme &&
      before.font === scene.font &&
      before.layout.key === layout.key &&
      before.scale * before.devicePixelRatio === mm &&
      this.#traces.width >= width &&
      this.#traces.height === height;
    this.#fit(this.#canvas, width, height);
    this.#canvas.style.width = `${width / scene.devicePixelRatio}px`;
    this.#canvas.style.height = `${height / scene.devicePixelRatio}px`;
    if (still) {
      return;
    }
    this.#unwashed = true;
    this.#resize(Math.round(layout.widest * mm), height);
    const key = gridKey(mm, scene);
    if (key !== this.#gridKey) {
      this.#gridKey = key;
      const c = this.#grid.getContext("2d")!;
      c.clearRect(0, 0, this.#grid.width, this.#grid.height);
      drawGrid(c, mm, scene);
    }
    this.#line.clear();
    const readable = isReadable(recording, layout.speed * mm);
    for (const block of readable ? layout.blocks : []) {
      for (const one of block.traces) {
        lineOf(recording, one, mm, this.#line);
      }
    }
    this.#ink.clear();
    this.#ink.stroke(this.#line, Math.max(1, 0.28 * mm), pixelOf(layout.density ? scene.theme.muted : scene.theme.ink));
    const c = this.#traces.getContext("2d")!;
    this.#ink.put(c);
    const nothing = [layout.window[1], layout.window[1]] as const;
    drawText(c, mm, scene, readable ? [recording.start, recording.end] : nothing);
    drawFlags(c, mm, scene, scene.flags ?? []);
  }

  #resize(width: number, height: number): void {
    if (this.#traces.width !== width || this.#traces.height !== height) {
      this.#fit(this.#grid, width, height);
      this.#fit(this.#traces, width, height);
      this.#ink.resize(width, height);
      this.#columns = new Uint32Array(width + 1);
      this.#gridKey = "";
    }
  }

  #fit(canvas: HTMLCanvasElement, width: number, height: number): void {
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
  }

  paint(overlay: Overlay | null, calipers: readonly Caliper[] = []): void {
    const scene = this.#scene;
    if (!scene) {
      return;
    }
    const last = this.#last;
    const same =
      !this.#fresh &&
      overlay !== null &&
      calipers === this.#calipers &&
      last?.segmentation === overlay.segmentation &&
      last.colours === overlay.colours &&
      last.borders === overlay.borders &&
      last.colouring === overlay.colouring &&
      last.cluster === overlay.cluster;
    [this.#before, this.#runs] = [this.#runs, this.#before];
    runsIn(overlay, scene.layout.window, this.#runs);
    const { width, height } = this.#canvas;
    this.#changes.clear(width, height);
    if (same) {
      this.#changes.collect(scene.layout, this.#areas, this.#mm, last, overlay, this.#before, this.#runs);
    }
    this.#last = overlay;
    this.#calipers = calipers;
    this.#fresh = false;
    if (!same) {
      this.#changes.all();
    }
    if (overlay?.colouring === "trace" && !scene.layout.density) {
      this.#colourTraces(scene, overlay);
    }
    const { rects } = this.#changes;
    for (let i = 0; i < rects.length; i += 4) {
      this.#paintRect(scene, overlay, rects[i]!, rects[i + 1]!, rects[i + 2]!, rects[i + 3]!);
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
    c.drawImage(this.#grid, x, y, w, h, x, y, w, h);
    if (overlay) {
      if (overlay.colouring === "trace" && !layout.density) {
        c.drawImage(this.#wash, x, y, w, h, x, y, w, h);
      }
      if (y + h > layout.clusterStrip.y * mm) {
        this.#strips.draw(c, mm, scene, overlay, this.#runs, this.#pattern, x, x + w);
      }
      drawCell(c, mm, scene, overlay, this.#areas);
    }
    c.drawImage(this.#traces, x, y, w, h, x, y, w, h);
    drawCalipers(c, mm, scene, this.#calipers);
    if (!whole) {
      c.restore();
    }
  }

  /** A wide coloured line under the thin one: the colour reads on any paper, the trace stays exact. */
  #colourTraces(scene: Scene, overlay: Overlay): void {
    const mm = this.#mm;
    const { width, height } = this.#traces;
    if (this.#wash.width !== width || this.#wash.height !== height) {
      this.#wash.width = width;
      this.#wash.height = height;
      this.#unwashed = true;
    }
    const c = this.#wash.getContext("2d")!;
    const rects = this.#unwashed ? [0, 0, width, height] : this.#changes.rects;
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
    this.#ink.resize(0, 0);
    this.#patterns.clear();
    this.#scene = null;
    this.#last = null;
  }
}
