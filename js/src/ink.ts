// Lines drawn into pixels that are kept. A canvas outlines every joint of a stroke, tens of milliseconds for the
// traces of one screen; distances to a few pixels around each piece take one or two.
import type { Polyline } from "./trace.ts";

/** "#rrggbb" as the lower three bytes of a pixel. */
export function pixelOf(colour: string): number {
  const value = Number.parseInt(colour.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}

export class Ink {
  width = 0;
  height = 0;
  /** Alpha, blue, green, red from the highest byte down: the order of an ImageData on every common machine. */
  pixels = new Uint32Array(0);
  #memory = new ArrayBuffer(0);
  #image: ImageData | null = null;
  #low = new Float32Array(0);
  #high = new Float32Array(0);
  #top = new Float64Array(0);
  #bottom = new Float64Array(0);

  constructor(width = 0, height = 0) {
    this.resize(width, height);
  }

  /** Another size in the same memory, where it fits: drawing a window's edge along asks for one a frame. */
  resize(width: number, height: number): void {
    const bytes = 4 * width * height;
    if (bytes > this.#memory.byteLength || 4 * bytes < this.#memory.byteLength) {
      this.#memory = new ArrayBuffer(Math.ceil(1.1 * width * height) * 4);
    }
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(this.#memory, 0, width * height);
    this.#image = null;
  }

  clear(): void {
    this.pixels.fill(0);
  }

  /** Lines with round ends and joints; a pixel is covered as far as its middle is from the line. */
  stroke(line: Polyline, lineWidth: number, colour: number): void {
    const { xy, length } = line;
    for (let i = 0; i < length; i += 2) {
      if (Number.isNaN(xy[i])) {
        continue;
      }
      // The end of a line, or a sample between two gaps: a point, else the piece to the next one.
      const next = i + 2 < length && !Number.isNaN(xy[i + 2]) ? i + 2 : i;
      if (next === i && i > 0 && !Number.isNaN(xy[i - 2])) {
        continue;
      }
      this.#piece(xy[i]! - 0.5, xy[i + 1]! - 0.5, xy[next]! - 0.5, xy[next + 1]! - 0.5, lineWidth / 2 + 0.5, colour);
    }
  }

  #piece(ax: number, ay: number, bx: number, by: number, reach: number, colour: number): void {
    const { pixels, width, height } = this;
    const dx = bx - ax;
    const dy = by - ay;
    const squared = dx * dx + dy * dy;
    const inverse = squared > 0 ? 1 / squared : 0;
    const far = reach * reach;
    const full = reach > 1 ? (reach - 1) * (reach - 1) : 0;
    const x0 = Math.max(0, Math.ceil((ax < bx ? ax : bx) - reach));
    const x1 = Math.min(width - 1, Math.floor((ax > bx ? ax : bx) + reach));
    const y0 = Math.max(0, Math.ceil((ay < by ? ay : by) - reach));
    const y1 = Math.min(height - 1, Math.floor((ay > by ? ay : by) + reach));
    for (let y = y0; y <= y1; y++) {
      const py = y - ay;
      const along = py * dy;
      for (let x = x0, at = y * width + x0; x <= x1; x++, at++) {
        const before = pixels[at]! >>> 24;
        if (before === 255) {
          continue;
        }
        const px = x - ax;
        let t = (px * dx + along) * inverse;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        const ex = px - t * dx;
        const ey = py - t * dy;
        const distance = ex * ex + ey * ey;
        if (distance < far) {
          const cover = distance <= full ? 255 : ((reach - Math.sqrt(distance)) * 255) | 0;
          if (cover > before) {
            pixels[at] = (cover << 24) | colour;
          }
        }
      }
    }
  }

  /**
   * A broad line, by half columns: how far each reaches up and down, widened by a disc of `radius`.
   */
  wash(line: Polyline, radius: number, colour: number): void {
    const reach = Math.floor(2 * radius);
    const rises = Float32Array.from({ length: reach + 1 }, (_, d) => Math.sqrt(radius * radius - (d * d) / 4));
    let start = 0;
    while (start < line.length) {
      let end = start;
      while (end < line.length && !Number.isNaN(line.xy[end])) {
        end += 2;
      }
      if (end > start) {
        this.#washOne(line.xy, start, end, rises, colour);
      }
      start = end + 2;
    }
  }

  #washOne(xy: Float32Array, start: number, end: number, rises: Float32Array, colour: number): void {
    const reach = rises.length - 1;
    const radius = rises[0]!;
    const from = Math.max(0, Math.floor(2 * (xy[start]! - radius)) - 1);
    const to = Math.min(2 * this.width - 1, Math.ceil(2 * (xy[end - 2]! + radius)) + 1);
    if (to < from) {
      return;
    }
    if (this.#low.length < 2 * this.width) {
      this.#low = new Float32Array(2 * this.width);
      this.#high = new Float32Array(2 * this.width);
      this.#top = new Float64Array(2 * this.width);
      this.#bottom = new Float64Array(2 * this.width);
    }
    const low = this.#low;
    const high = this.#high;
    low.fill(Number.POSITIVE_INFINITY, from, to + 1);
    high.fill(Number.NEGATIVE_INFINITY, from, to + 1);
    const seen = (column: number, y: number) => {
      if (column >= from && column <= to) {
        if (y < low[column]!) {
          low[column] = y;
        }
        if (y > high[column]!) {
          high[column] = y;
        }
      }
    };
    for (let i = start; i < end; i += 2) {
      const x = 2 * xy[i]!;
      const y = xy[i + 1]!;
      seen(Math.floor(x), y);
      if (i + 2 < end) {
        // Where the piece crosses the borders of half columns.
        const rise = (xy[i + 3]! - y) / (2 * xy[i + 2]! - x || 1);
        for (let border = Math.floor(x) + 1; border <= 2 * xy[i + 2]!; border++) {
          const at = y + (border - x) * rise;
          seen(border - 1, at);
          seen(border, at);
        }
      }
    }
    // Distance by distance: plain loops over columns are what a compiler makes fast.
    const top = this.#top;
    const bottom = this.#bottom;
    for (let column = from; column <= to; column++) {
      top[column] = low[column]! - radius;
      bottom[column] = high[column]! + radius;
    }
    for (let d = 1; d <= reach; d++) {
      const rise = rises[d]!;
      for (let column = from + d; column <= to; column++) {
        const other = column - d;
        if (low[other]! - rise < top[column]!) top[column] = low[other]! - rise;
        if (high[other]! + rise > bottom[column]!) bottom[column] = high[other]! + rise;
        if (low[column]! - rise < top[other]!) top[other] = low[column]! - rise;
        if (high[column]! + rise > bottom[other]!) bottom[other] = high[column]! + rise;
      }
    }
    for (let column = from; column <= to; column++) {
      if (top[column]! < bottom[column]!) {
        this.#fillHalf(column >> 1, top[column]!, bottom[column]!, colour);
      }
    }
  }

  /** Half a column from `top` to `bottom` covers half of each pixel, less where it ends inside one. */
  #fillHalf(x: number, top: number, bottom: number, colour: number): void {
    const { pixels, width } = this;
    const y0 = Math.max(0, Math.floor(top));
    const y1 = Math.min(this.height - 1, Math.ceil(bottom) - 1);
    for (let y = y0, at = y0 * width + x; y <= y1; y++, at += width) {
      const share = (y + 1 < bottom ? y + 1 : bottom) - (y > top ? y : top);
      const cover = (pixels[at]! >>> 24) + ((127.5 * share + 0.5) | 0);
      pixels[at] = ((cover > 255 ? 255 : cover) << 24) | colour;
    }
  }

  /** Other colours for what is covered in a rectangle: `colourOf` has a pixel value for each column. */
  tint(x0: number, y0: number, x1: number, y1: number, colourOf: Uint32Array): void {
    const { pixels, width } = this;
    for (let y = Math.max(0, y0); y < Math.min(this.height, y1); y++) {
      for (let x = Math.max(0, x0), at = y * width + x; x < Math.min(width, x1); x++, at++) {
        const pixel = pixels[at]!;
        if (pixel !== 0) {
          pixels[at] = (pixel & 0xff000000) | colourOf[x]!;
        }
      }
    }
  }

  /** Copies a rectangle to a canvas, in place of what was there. */
  put(context: CanvasRenderingContext2D, x = 0, y = 0, width = this.width, height = this.height): void {
    this.#image ??= new ImageData(
      new Uint8ClampedArray(this.#memory, 0, 4 * this.pixels.length),
      this.width,
      this.height,
    );
    context.putImageData(this.#image, 0, 0, x, y, width, height);
  }
}
