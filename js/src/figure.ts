// The scene as a file: SVG in millimetres, and PNG that says how large its pixels are. On white paper, for print.
import { drawFlags, drawGrid, drawText } from "./backdrop.ts";
import { drawBands, drawCell, edge } from "./bands.ts";
import { type Caliper, drawCalipers } from "./calipers.ts";
import { type Overlay, Painter, type Scene } from "./canvas.ts";
import { cut, lineOf } from "./lines.ts";
import { LIGHT, TRUE_SIZE } from "./paper.ts";
import type { Pen } from "./pen.ts";
import { MASKED, Runs, runsIn } from "./segments.ts";
import { Strips } from "./strips.ts";
import { type Recorded, SvgPen, UNITS } from "./svg.ts";
import { isReadable, Polyline } from "./trace.ts";

/** px for one mm: a large square is a whole number of them, at 305 dpi. */
const DOTS = 12;
/** mm */
const CAPTION = { top: 4.5, line: 3.4, size: 2.6, left: 1 } as const;

export interface Picture {
  readonly scene: Scene;
  readonly overlay: Overlay | null;
  readonly calipers: readonly Caliper[];
  readonly title: string;
  readonly caption: readonly string[];
}

function inPrint(scene: Scene, perMm: number): Scene {
  return { ...scene, scale: TRUE_SIZE, devicePixelRatio: perMm / TRUE_SIZE, theme: LIGHT };
}

/** The caption in lines that fit the paper; never inside a fact, unless one alone is too long. */
export function wrapped(facts: readonly string[], fits: (line: string) => boolean): string[] {
  const lines: string[] = [];
  for (const fact of facts) {
    const last = lines.at(-1);
    const joined = last === undefined ? fact : `${last} \u00b7 ${fact}`;
    if (last === undefined || !fits(joined)) {
      lines.push(...broken(fact, fits));
    } else {
      lines[lines.length - 1] = joined;
    }
  }
  return lines;
}

function broken(text: string, fits: (line: string) => boolean): string[] {
  if (fits(text)) {
    return [text];
  }
  const lines: string[] = [""];
  for (const character of text) {
    const line = lines[lines.length - 1]! + character;
    if (line.length > 1 && !fits(line)) {
      lines.push(character);
    } else {
      lines[lines.length - 1] = line;
    }
  }
  return lines;
}

function captionLines(c: Pen, mm: number, scene: Scene, facts: readonly string[]): string[] {
  setCaption(c, mm, scene);
  const width = (scene.layout.width - 2 * CAPTION.left) * mm;
  return wrapped(facts, (line) => c.measureText(line).width <= width);
}

function setCaption(c: Pen, mm: number, { theme, font }: Scene): void {
  c.font = `400 ${(CAPTION.size * mm).toFixed(1)}px ${font}`;
  c.textAlign = "left";
  c.textBaseline = "alphabetic";
  c.fillStyle = theme.muted;
}

function drawCaption(c: Pen, mm: number, scene: Scene, lines: readonly string[]): void {
  setCaption(c, mm, scene);
  lines.forEach((line, i) => {
    c.fillText(line, CAPTION.left * mm, (scene.layout.height + CAPTION.top + i * CAPTION.line) * mm);
  });
}

function heightWith(scene: Scene, lines: readonly string[]): number {
  return scene.layout.height + (lines.length > 0 ? CAPTION.top + (lines.length - 1) * CAPTION.line + 2 : 0);
}

/** `measure` says how wide a text is in a font, in px. */
export function toSvg(picture: Picture, measure: (text: string, font: string) => number): string {
  const pen: Recorded = new SvgPen(measure);
  const mm = UNITS;
  const scene = inPrint(picture.scene, mm);
  const { layout, recording, theme } = scene;
  const lines = captionLines(pen, mm, scene, [picture.title, ...picture.caption]);
  const height = heightWith(scene, lines);
  pen.part("paper");
  pen.fillStyle = theme.paper;
  pen.fillRect(0, 0, layout.width * mm, height * mm);
  drawUnder(pen, scene, picture.overlay);
  pen.part("traces");
  const readable = isReadable(recording, layout.speed * mm);
  for (const trace of readable ? layout.blocks.flatMap((block) => block.traces) : []) {
    const line = new Polyline();
    lineOf(recording, trace, mm, line);
    pen.polyline(line, layout.density ? theme.muted : theme.ink, 0.28 * mm);
  }
  pen.part("text");
  const [, end] = layout.window;
  drawText(pen, mm, scene, readable ? [recording.start, recording.end] : [end, end]);
  drawFlags(pen, mm, scene, scene.flags ?? []);
  drawCalipers(pen, mm, scene, picture.calipers);
  pen.part("caption");
  drawCaption(pen, mm, scene, lines);
  return pen.document(layout.width, height, picture.title, picture.caption.join(" \u00b7 "));
}

/** What lies under the traces, in the order of the canvas. */
function drawUnder(pen: Recorded, scene: Scene, overlay: Overlay | null): void {
  const { layout, theme } = scene;
  const mm = UNITS;
  const areas = layout.blocks.flatMap((block) => block.areas);
  const runs = new Runs();
  runsIn(overlay, layout.window, runs);
  const patterns = { lines: pen.hatch(theme.hatch, "lines"), crosses: pen.hatch(theme.hatch, "crosses") };
  const pattern = (look: number) => (look === MASKED ? patterns.crosses : patterns.lines);
  pen.part("segments");
  for (const area of overlay ? areas : []) {
    drawBands(pen, mm, area, scene, overlay!, runs, pattern, 0, Number.POSITIVE_INFINITY);
  }
  pen.part("grid");
  // The paper ends where it ends: a canvas cuts the grid off, a file does not.
  drawGrid(pen, mm, { ...scene, layout: { ...layout, widest: layout.width } });
  if (overlay?.colouring === "trace" && !layout.density) {
    drawColours(pen, scene, overlay, runs);
  }
  if (overlay) {
    pen.part("strips");
    new Strips().draw(pen, mm, scene, overlay, runs, pattern, 0, Number.POSITIVE_INFINITY);
    drawCell(pen, mm, scene, overlay, [...areas, layout.entropyStrip]);
  }
}

/** A wide line under each trace, in the colours of its cells. */
function drawColours(pen: Recorded, scene: Scene, overlay: Overlay, runs: Runs): void {
  const mm = UNITS;
  const { layout, recording, theme } = scene;
  pen.part("colours");
  for (const trace of layout.blocks.flatMap((block) => block.traces)) {
    const line = new Polyline();
    lineOf(recording, trace, mm, line);
    for (let r = 0; r < runs.length; r++) {
      const from = edge(trace.area, mm, overlay.borders[runs.first[r]!]!);
      const to = edge(trace.area, mm, overlay.borders[runs.last[r]! + 1]!);
      if (to > from) {
        const look = runs.look[r]!;
        const piece = new Polyline();
        cut(line, from, to, piece);
        pen.polyline(piece, look < 0 ? theme.uncertain : (overlay.colours[look] ?? theme.muted), 1.1 * mm, "butt");
      }
    }
  }
}

/** Painted as on the screen, with 12 px for a millimetre, which the file says. */
export async function toPng(picture: Picture): Promise<Blob> {
  const canvas = document.createElement("canvas");
  const painter = new Painter(canvas);
  try {
    const scene = inPrint(picture.scene, DOTS);
    painter.setScene(scene);
    painter.paint(picture.overlay, picture.calipers);
    const page = document.createElement("canvas");
    const c = page.getContext("2d", { alpha: false })!;
    const lines = captionLines(c, DOTS, scene, [picture.title, ...picture.caption]);
    page.width = canvas.width;
    page.height = Math.round(heightWith(scene, lines) * DOTS);
    c.fillStyle = scene.theme.paper;
    c.fillRect(0, 0, page.width, page.height);
    c.drawImage(canvas, 0, 0);
    drawCaption(c, DOTS, scene, lines);
    const blob = await new Promise<Blob | null>((done) => page.toBlob(done, "image/png"));
    page.width = 0;
    if (!blob) {
      throw new Error("PNG: the browser has no room for a picture of this size; save SVG instead");
    }
    const bytes = withPixelSize(new Uint8Array(await blob.arrayBuffer()), 1000 * DOTS);
    return new Blob([bytes], { type: "image/png" });
  } finally {
    painter.dispose();
  }
}

/** A PNG with a chunk pHYs behind its header: pixels per metre. */
export function withPixelSize(png: Uint8Array, perMetre: number): Uint8Array<ArrayBuffer> {
  const head = 33; // signature and IHDR
  const chunk = new Uint8Array(21);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, 9);
  chunk.set([0x70, 0x48, 0x59, 0x73], 4);
  view.setUint32(8, perMetre);
  view.setUint32(12, perMetre);
  chunk[16] = 1; // the unit is the metre
  view.setUint32(17, crc(chunk.subarray(4, 17)));
  const out = new Uint8Array(png.length + chunk.length);
  out.set(png.subarray(0, head));
  out.set(chunk, head);
  out.set(png.subarray(head), head + chunk.length);
  return out;
}

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
  }
  return (value ^ 0xffffffff) >>> 0;
}

/** A name that every file system takes. */
export function fileName(record: string, suffix: string): string {
  const name = record
    .replace(/[^\p{L}\p{N}._-]+/gu, "_")
    .replace(/^[._]+/, "")
    .slice(0, 80);
  return `${name || "ecg"}.${suffix}`;
}

/** Hands a file to the browser, as a download. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** How wide texts are, by a canvas. */
export function textMeasure(): (text: string, font: string) => number {
  const c = document.createElement("canvas").getContext("2d")!;
  return (text, font) => {
    c.font = font;
    return c.measureText(text).width;
  };
}
