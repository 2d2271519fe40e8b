// The second painter: records what is drawn on a canvas as SVG, in millimetres. Text stays text.
import type { Pen } from "./pen.ts";
import type { Polyline } from "./trace.ts";

/** Units of drawing for one mm: what is rounded to whole pixels on a screen is exact to a hundredth here. */
export const UNITS = 100;

/** Characters that XML 1.0 has no way to write: most controls, halves of pairs, and two that are none. */
function isWritable(code: number): boolean {
  const control = code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d;
  return !control && !(code >= 0xd800 && code <= 0xdfff) && code !== 0xfffe && code !== 0xffff;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeXml(text: string): string {
  const written = Array.from(text, (character) => (isWritable(character.codePointAt(0)!) ? character : "\ufffd"));
  return written.join("").replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

const number = (value: number): string => String(Number(value.toFixed(1)));
const ANCHOR: Partial<Record<CanvasTextAlign, string>> = { center: "middle", right: "end" };

interface Style {
  fillStyle: string | CanvasGradient | CanvasPattern;
  strokeStyle: string | CanvasGradient | CanvasPattern;
  lineWidth: number;
  lineJoin: CanvasLineJoin;
  globalAlpha: number;
  font: string;
  textAlign: CanvasTextAlign;
  textBaseline: CanvasTextBaseline;
  dash: number[];
  transform: string;
}

export class SvgPen implements Style {
  fillStyle: Style["fillStyle"] = "#000000";
  strokeStyle: Style["strokeStyle"] = "#000000";
  lineWidth = 1;
  lineJoin: CanvasLineJoin = "miter";
  globalAlpha = 1;
  font = "10px sans-serif";
  textAlign: CanvasTextAlign = "left";
  textBaseline: CanvasTextBaseline = "alphabetic";
  dash: number[] = [];
  transform = "";
  readonly #measure: (text: string, font: string) => number;
  readonly #body: string[] = [];
  readonly #definitions: string[] = [];
  readonly #kept: Style[] = [];
  #path: string[] = [];
  /** Rectangles of one look, side by side, are one path. */
  #rects: string[] = [];
  #look = "";
  #open = false;

  constructor(measure: (text: string, font: string) => number) {
    this.#measure = measure;
  }

  save(): void {
    const { fillStyle, strokeStyle, lineWidth, lineJoin, globalAlpha, font, textAlign, textBaseline } = this;
    const { dash, transform } = this;
    this.#kept.push({
      ...{ fillStyle, strokeStyle, lineWidth, lineJoin, globalAlpha, font, textAlign, textBaseline },
      ...{ dash, transform },
    });
  }

  restore(): void {
    Object.assign(this, this.#kept.pop());
  }

  translate(x: number, y: number): void {
    this.transform += `translate(${number(x)} ${number(y)})`;
  }

  rotate(angle: number): void {
    this.transform += angle === 0 ? "" : `rotate(${number((180 * angle) / Math.PI)})`;
  }

  setLineDash(dash: Iterable<number>): void {
    this.dash = [...dash];
  }

  beginPath(): void {
    this.#path = [];
  }

  moveTo(x: number, y: number): void {
    this.#path.push(`M${number(x)} ${number(y)}`);
  }

  lineTo(x: number, y: number): void {
    this.#path.push(`L${number(x)} ${number(y)}`);
  }

  stroke(): void {
    this.#put(`<path d="${this.#path.join("")}"${this.#stroked}/>`);
  }

  fill(): void {
    this.#put(`<path d="${this.#path.join("")}Z"${this.#filled}/>`);
  }

  fillRect(x: number, y: number, w: number, h: number): void {
    const look = this.#filled;
    if (look !== this.#look) {
      this.#flush();
      this.#look = look;
    }
    this.#rects.push(`M${number(x)} ${number(y)}h${number(w)}v${number(h)}h${number(-w)}z`);
  }

  strokeRect(x: number, y: number, w: number, h: number): void {
    this.#put(`<path d="M${number(x)} ${number(y)}h${number(w)}v${number(h)}h${number(-w)}z"${this.#stroked}/>`);
  }

  fillText(text: string, x: number, y: number): void {
    this.#text(text, x, y, this.#filled);
  }

  strokeText(text: string, x: number, y: number): void {
    this.#text(text, x, y, this.#stroked);
  }

  measureText(text: string): TextMetrics {
    return { width: this.#measure(text, this.font) } as TextMetrics;
  }

  /** A line through all points; NaN ends a piece of it. Round ends: a sample between two gaps is a dot. */
  polyline({ xy, length }: Polyline, colour: string, width: number, cap: "round" | "butt" = "round"): void {
    let piece: string[] = [];
    const pieces: string[] = [];
    for (let i = 0; i <= length; i += 2) {
      if (i < length && !Number.isNaN(xy[i])) {
        piece.push(`${number(xy[i]!)} ${number(xy[i + 1]!)}`);
      } else if (piece.length > 0) {
        pieces.push(`M${piece.join(" ")}${piece.length === 1 ? "h0" : ""}`);
        piece = [];
      }
    }
    if (pieces.length > 0) {
      const look = `stroke="${colour}" stroke-width="${number(width)}" stroke-linecap="${cap}" stroke-linejoin="round"`;
      this.#put(`<path d="${pieces.join("")}" fill="none" ${look}/>`);
    }
  }

  /** Lines from the lower left to the upper right, or crosses, every few mm; what to fill with. */
  hatch(colour: string, kind: "lines" | "crosses"): string {
    const size = (kind === "lines" ? 2.2 : 3) * UNITS;
    const id = `ecg-${kind}`;
    const back = kind === "crosses" ? `M0 0L${size} ${size}` : "";
    const slopes = `M0 ${size}L${size} 0M-20 20L20 -20M${size - 20} ${size + 20}L${size + 20} ${size - 20}${back}`;
    this.#definitions.push(
      `<pattern id="${id}" width="${size}" height="${size}" patternUnits="userSpaceOnUse">` +
        `<path d="${slopes}" fill="none"${paint("stroke", colour)} stroke-width="20"/></pattern>`,
    );
    return `url(#${id})`;
  }

  part(name: string): void {
    this.#flush();
    this.#body.push(`${this.#open ? "</g>" : ""}<g data-ecg="${escapeXml(name)}">`);
    this.#open = true;
  }

  /** The document: as large as it says in millimetres, in a viewBox of millimetres. */
  document(width: number, height: number, title: string, description: string): string {
    this.#flush();
    const [w, h] = [Number(width.toFixed(3)), Number(height.toFixed(3))];
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${w}mm" height="${h}mm" viewBox="0 0 ${w} ${h}">`,
      `<title>${escapeXml(title)}</title><desc>${escapeXml(description)}</desc>`,
      `<defs>${this.#definitions.join("")}</defs>`,
      `<g transform="scale(${1 / UNITS})">`,
      ...this.#body,
      `${this.#open ? "</g>" : ""}</g></svg>\n`,
    ].join("\n");
  }

  get #alpha(): string {
    return this.globalAlpha === 1 ? "" : ` opacity="${Number(this.globalAlpha.toFixed(3))}"`;
  }

  get #moved(): string {
    return this.transform === "" ? "" : ` transform="${this.transform}"`;
  }

  get #filled(): string {
    return paint("fill", this.fillStyle) + this.#alpha + this.#moved;
  }

  get #stroked(): string {
    const dash = this.dash.length > 0 ? ` stroke-dasharray="${this.dash.map(number).join(" ")}"` : "";
    const join = this.lineJoin === "miter" ? "" : ` stroke-linejoin="${this.lineJoin}"`;
    const stroke = paint("stroke", this.strokeStyle);
    return ` fill="none"${stroke} stroke-width="${number(this.lineWidth)}"${join}${dash}${this.#alpha}${this.#moved}`;
  }

  #text(text: string, x: number, y: number, look: string): void {
    const [, weight = "400", size = "10", family = "sans-serif"] = /^(\d+) ([\d.]+)px (.*)$/.exec(this.font) ?? [];
    const anchor = ANCHOR[this.textAlign] ? ` text-anchor="${ANCHOR[this.textAlign]}"` : "";
    // Not every reader of SVG knows dominant-baseline: the middle of a line of capitals is 0.35 em above its foot.
    const foot = y + (this.textBaseline === "middle" ? 0.35 * Number(size) : 0);
    const font = ` font-family="${escapeXml(family)}" font-size="${size}" font-weight="${weight}"`;
    this.#put(`<text x="${number(x)}" y="${number(foot)}"${anchor}${font}${look}>${escapeXml(text)}</text>`);
  }

  #put(markup: string): void {
    this.#flush();
    this.#body.push(markup);
  }

  #flush(): void {
    if (this.#rects.length > 0) {
      this.#body.push(`<path d="${this.#rects.join("")}"${this.#look}/>`);
      this.#rects = [];
    }
    this.#look = "";
  }
}

/** Colour and opacity apart: older readers of SVG know no rgba(). */
function paint(name: "fill" | "stroke", style: Style["fillStyle"]): string {
  const [, r, g, b, a] = /^rgba\((\d+), (\d+), (\d+), ([\d.]+)\)$/.exec(String(style)) ?? [];
  return a === undefined
    ? ` ${name}="${escapeXml(String(style))}"`
    : ` ${name}="rgb(${r},${g},${b})" ${name}-opacity="${a}"`;
}

/** Of the type that draws a scene. */
export type Recorded = SvgPen & Pen;
