// Paints the draw list on one canvas. The grid and the traces are kept as bitmaps, so that a new threshold
// repaints only bands and strips and copies the rest.

import { hatch } from "./hatch.ts";
import { type Area, type Block, type Layout, PULSE_X, toX } from "./layout.ts";
import { GAIN, LARGE, PULSE, SMALL, SPEED, type Theme } from "./paper.ts";
import type { Recording } from "./recording.ts";
import type { Segmentation } from "./segmentation.ts";
import type { Kind, Run } from "./segments.ts";
import { drawStrips, setFont, spanOf } from "./strips.ts";
import { polylines } from "./trace.ts";

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
  readonly runs: readonly Run[];
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
  readonly #ink = document.createElement("canvas");
  readonly #mask = document.createElement("canvas");
  /** Wide traces by block, made when first asked for. */
  readonly #wide = new Map<Block, HTMLCanvasElement>();
  readonly #patterns = new Map<string, CanvasPattern | string>();
  #scene: Scene | null = null;
  /** Device pixels for one mm */
  #mm = 1;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false })!;
  }

  /** Draws what stands still: grid and traces. */
  setScene(scene: Scene): void {
    this.#scene = scene;
    this.#mm = scene.scale * scene.devicePixelRatio;
    this.#forget();
    const width = Math.round(scene.layout.width * this.#mm);
    const height = Math.round(scene.layout.height * this.#mm);
    for (const canvas of [this.#canvas, this.#grid, this.#ink, this.#mask]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.#canvas.style.width = `${width / scene.devicePixelRatio}px`;
    this.#canvas.style.height = `${height / scene.devicePixelRatio}px`;
    this.#drawGrid(this.#grid.getContext("2d")!, scene);
    const ink = this.#ink.getContext("2d")!;
    for (const block of scene.layout.blocks) {
      this.#strokeTraces(ink, block, scene, scene.theme.ink, Math.max(1, 0.28 * this.#mm));
    }
    this.#drawText(ink, scene);
  }

  paint(overlay: Overlay | null): void {
    const scene = this.#scene;
    if (!scene) {
      return;
    }
    const c = this.#context;
    c.fillStyle = scene.theme.paper;
    c.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (overlay) {
      for (const block of scene.layout.blocks) {
        for (const area of block.areas) {
          this.#drawBands(c, area, scene, overlay);
        }
      }
    }
    c.drawImage(this.#grid, 0, 0);
    if (overlay) {
      if (overlay.colouring === "trace") {
        for (const block of scene.layout.blocks) {
          this.#colourTraces(c, block, scene, overlay);
        }
      }
      drawStrips(c, this.#mm, scene, overlay, (kind) => this.#pattern(kind));
      this.#drawCell(c, scene, overlay);
    }
    c.drawImage(this.#ink, 0, 0);
  }

  /** Frees the bitmaps: browsers keep those of detached canvases for long. */
  dispose(): void {
    for (const canvas of [this.#canvas, this.#grid, this.#ink, this.#mask]) {
      canvas.width = 0;
      canvas.height = 0;
    }
    this.#forget();
    this.#scene = null;
  }

  #forget(): void {
    for (const canvas of this.#wide.values()) {
      canvas.width = 0;
    }
    this.#wide.clear();
    this.#patterns.clear();
  }

  #drawGrid(c: CanvasRenderingContext2D, scene: Scene): void {
    const mm = this.#mm;
    const { layout, theme } = scene;
    const width = Math.round(layout.width * mm);
    const height = Math.round(layout.gridHeight * mm);
    const thin = Math.max(1, Math.round(0.1 * mm));
    for (const [step, skip, colour] of [
      [SMALL, LARGE, theme.small],
      [LARGE, 0, theme.large],
    ] as const) {
      if (step * mm < 2.5) {
        continue; // lines closer than this melt into a tint
      }
      c.fillStyle = colour;
      for (let x = 0; x <= layout.width; x += step) {
        if (!skip || x % skip) {
          c.fillRect(Math.round(x * mm), 0, thin, height);
        }
      }
      for (let y = 0; y <= layout.gridHeight; y += step) {
        if (!skip || y % skip) {
          c.fillRect(0, Math.round(y * mm), width, thin);
        }
      }
    }
  }

  #strokeTraces(c: CanvasRenderingContext2D, block: Block, scene: Scene, style: string, width: number): void {
    const mm = this.#mm;
    const { recording } = scene;
    c.strokeStyle = style;
    c.lineWidth = width;
    c.lineJoin = "round";
    c.lineCap = "round";
    c.beginPath();
    for (const { lead, area, baseline, offset } of block.traces) {
      const signal = recording.signal[lead]!;
      const rate = recording.samplingRate;
      const from = Math.max(0, Math.ceil((area.t0 - recording.start) * rate - 1e-6));
      // One sample more than the stretch holds closes the line at the column's border.
      const to = Math.min(signal.length, Math.floor((area.t1 - recording.start) * rate + 1e-6) + 1);
      const frame = {
        x0: toX(area, recording.start + from / rate) * mm,
        y0: (baseline + offset * GAIN) * mm,
        perSample: (SPEED * mm) / rate,
        perUnit: GAIN * mm,
      };
      for (const line of polylines(signal, from, to, frame)) {
        c.moveTo(line[0]!, line[1]!);
        c.lineTo(line[0]!, line[1]!);
        for (let i = 2; i < line.length; i += 2) {
          c.lineTo(line[i]!, line[i + 1]!);
        }
      }
    }
    c.stroke();
  }

  #wideTraces(block: Block, scene: Scene): HTMLCanvasElement {
    let wide = this.#wide.get(block);
    if (!wide) {
      wide = document.createElement("canvas");
      wide.width = this.#canvas.width;
      wide.height = this.#canvas.height;
      const width = Math.max(3 * scene.devicePixelRatio, 1.1 * this.#mm);
      this.#strokeTraces(wide.getContext("2d")!, block, scene, scene.theme.muted, width);
      this.#wide.set(block, wide);
    }
    return wide;
  }

  #pattern(kind: Kind): CanvasPattern | string {
    const key = kind === "masked" ? "crosses" : "lines";
    const kept = this.#patterns.get(key) ?? hatch(this.#context, this.#scene!.theme.hatch, this.#mm, key);
    this.#patterns.set(key, kept);
    return kept;
  }

  #drawText(c: CanvasRenderingContext2D, scene: Scene): void {
    const mm = this.#mm;
    const { layout, theme } = scene;
    c.strokeStyle = theme.ink;
    c.lineWidth = Math.max(1, 0.25 * mm);
    c.lineJoin = "miter";
    c.beginPath();
    for (const baseline of layout.pulses) {
      PULSE.forEach(([x, y], i) => {
        c[i === 0 ? "moveTo" : "lineTo"]((PULSE_X + x) * mm, (baseline - y) * mm);
      });
    }
    for (const { x, y } of layout.separators) {
      c.moveTo(x * mm, (y - 2.5) * mm);
      c.lineTo(x * mm, (y + 2.5) * mm);
    }
    c.stroke();
    c.lineJoin = "round";
    for (const label of layout.labels) {
      const lead = label.role === "lead";
      setFont(c, mm, scene, lead ? 3.4 : 2.6, lead ? 600 : 400, label.upright ? 8 : 10);
      c.textAlign = label.align;
      c.textBaseline = "alphabetic";
      if (lead) {
        c.strokeStyle = theme.paper;
        c.lineWidth = 3 * scene.devicePixelRatio;
        c.strokeText(label.text, label.x * mm, label.y * mm);
      }
      c.fillStyle = lead ? theme.ink : theme.muted;
      c.save();
      c.translate(label.x * mm, label.y * mm);
      c.rotate(label.upright ? -Math.PI / 2 : 0);
      c.fillText(label.text, 0, 0);
      c.restore();
    }
    setFont(c, mm, scene, 2.6, 400);
    c.fillStyle = theme.muted;
    c.textAlign = "center";
    const bottom = layout.entropyStrip.y + layout.entropyStrip.height;
    for (const { x, text } of layout.seconds) {
      c.fillText(text, x * mm, (bottom + 4) * mm);
      c.fillRect(Math.round(x * mm), bottom * mm, Math.max(1, Math.round(0.2 * mm)), mm);
    }
  }

  #drawBands(c: CanvasRenderingContext2D, area: Area, scene: Scene, overlay: Overlay): void {
    const y = Math.round(area.y * this.#mm);
    const height = Math.round((area.y + area.height) * this.#mm) - y;
    for (const run of overlay.runs) {
      const span = spanOf(area, this.#mm, run.start, run.end);
      if (span) {
        this.#fillRun(c, run, [span[0], y, span[1] - span[0], height], scene, overlay);
      }
    }
  }

  #fillRun(
    c: CanvasRenderingContext2D,
    run: Run,
    [x, y, w, h]: readonly [number, number, number, number],
    scene: Scene,
    overlay: Overlay,
  ): void {
    const { theme } = scene;
    if (run.kind === "cluster") {
      if (overlay.colouring === "bands" || overlay.cluster === run.cluster) {
        const faded = overlay.cluster >= 0 && overlay.cluster !== run.cluster;
        c.globalAlpha = theme.band * (faded ? 0.3 : overlay.cluster >= 0 ? 1.4 : 1);
        c.fillStyle = overlay.colours[run.cluster] ?? theme.muted;
        c.fillRect(x, y, w, h);
        c.globalAlpha = 1;
      }
      return;
    }
    if (run.kind === "uncertain") {
      c.fillStyle = theme.uncertain;
      c.globalAlpha = overlay.colouring === "bands" ? 0.75 : 0.35;
      c.fillRect(x, y, w, h);
      c.globalAlpha = 1;
    }
    c.fillStyle = this.#pattern(run.kind);
    c.fillRect(x, y, w, h);
  }

  /** A wide coloured line under the thin one: the colour reads on any paper, the trace stays exact. */
  #colourTraces(target: CanvasRenderingContext2D, block: Block, scene: Scene, overlay: Overlay): void {
    const c = this.#mask.getContext("2d")!;
    c.clearRect(0, 0, this.#mask.width, this.#mask.height);
    c.drawImage(this.#wideTraces(block, scene), 0, 0);
    c.globalCompositeOperation = "source-atop";
    for (const area of block.areas) {
      for (const run of overlay.runs) {
        const span = spanOf(area, this.#mm, run.start, run.end);
        if (span) {
          c.fillStyle = run.kind === "cluster" ? (overlay.colours[run.cluster] ?? "") : scene.theme.uncertain;
          c.fillRect(span[0], 0, span[1] - span[0], this.#mask.height);
        }
      }
    }
    c.globalCompositeOperation = "source-over";
    target.drawImage(this.#mask, 0, 0);
  }

  /** The pointed cell: its own stretch outlined, its receptive field as a bracket above the first row. */
  #drawCell(c: CanvasRenderingContext2D, scene: Scene, overlay: Overlay): void {
    const { cell, segmentation, borders } = overlay;
    if (cell < 0 || cell >= segmentation.centre.length) {
      return;
    }
    const mm = this.#mm;
    const { layout, theme } = scene;
    const centre = segmentation.centre[cell]!;
    const half = segmentation.width[cell]! / 2;
    const line = Math.max(1, Math.round(0.35 * mm));
    c.strokeStyle = theme.accent;
    c.fillStyle = theme.accent;
    c.lineWidth = line;
    for (const area of [...layout.blocks.flatMap((block) => block.areas), layout.entropyStrip]) {
      const own = spanOf(area, this.#mm, borders[cell]!, borders[cell + 1]!);
      if (own) {
        c.strokeRect(own[0], area.y * mm, Math.max(own[1] - own[0], line), area.height * mm);
      }
      const field = area.y < LARGE + 1 ? spanOf(area, this.#mm, centre - half, centre + half) : null;
      if (field) {
        const y = 2 * mm;
        c.fillRect(field[0], y, field[1] - field[0], line);
        for (const [x, time] of [
          [field[0], centre - half],
          [field[1] - line, centre + half],
        ] as const) {
          if (time >= area.t0 && time <= area.t1) {
            c.fillRect(x, y, line, 2.2 * mm);
          }
        }
        const middle = spanOf(area, this.#mm, centre - 1e-3, centre + 1e-3);
        if (middle) {
          c.fillRect(middle[0] - line, y - 0.6 * mm, 2 * line, 1.8 * mm);
        }
      }
    }
  }
}
