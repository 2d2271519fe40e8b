// Samples -> one polyline, in units of pixels. No smoothing, no lost peak, a break at every gap.

/** Time and amplitude to pixels: x = x0 + (i - from) * perSample, y = y0 - value * perUnit. */
export interface Frame {
  readonly x0: number;
  readonly y0: number;
  readonly perSample: number;
  readonly perUnit: number;
}

/** Device pixels that a least and a greatest value may be apart in time. */
const COLUMN = 3;

/** Drawn wider, the extremes of a stretch would look like waves of their own: a notch in every QRS. */
export function isReadable(
  { decimation, samplingRate }: { decimation: number; samplingRate: number },
  pixelsPerSecond: number,
): boolean {
  return decimation === 1 || (2 * pixelsPerSecond) / samplingRate <= COLUMN;
}

/** Points of one or several lines, kept from frame to frame: x, y, x, y; a pair of NaN ends a line. */
export class Polyline {
  xy = new Float32Array(4096);
  /** Numbers in use, two a point */
  length = 0;

  clear(): void {
    this.length = 0;
  }

  push(x: number, y: number): void {
    if (this.length + 2 > this.xy.length) {
      const larger = new Float32Array(2 * this.xy.length);
      larger.set(this.xy);
      this.xy = larger;
    }
    this.xy[this.length++] = x;
    this.xy[this.length++] = y;
  }

  /** Ends the line; several breaks are one. */
  end(): void {
    if (this.length > 0 && !Number.isNaN(this.xy[this.length - 1])) {
      this.push(Number.NaN, Number.NaN);
    }
  }
}

/**
 * Appends the line through samples `from` to `to` (exclusive).
 * Where several samples share a pixel column, its first, least, greatest and last one stay, in their order:
 * the line then covers the same pixels as all samples would.
 */
export function trace(signal: Float32Array, from: number, to: number, frame: Frame, out: Polyline): void {
  const { x0, y0, perSample, perUnit } = frame;
  const put = (i: number) => out.push(x0 + (i - from) * perSample, y0 - signal[i]! * perUnit);
  let i = from;
  while (i < to) {
    if (Number.isNaN(signal[i])) {
      out.end();
      i++;
      continue;
    }
    const first = i;
    const column = Math.floor(x0 + (i - from) * perSample);
    let least = i;
    let greatest = i;
    let low = signal[i]!;
    let high = low;
    i++;
    while (i < to && Math.floor(x0 + (i - from) * perSample) === column) {
      const value = signal[i]!;
      if (Number.isNaN(value)) {
        break;
      }
      if (value < low) {
        low = value;
        least = i;
      } else if (value > high) {
        high = value;
        greatest = i;
      }
      i++;
    }
    const last = i - 1;
    const early = Math.min(least, greatest);
    const late = Math.max(least, greatest);
    put(first);
    if (early > first) {
      put(early);
    }
    if (late > early) {
      put(late);
    }
    if (last > late) {
      put(last);
    }
  }
  out.end();
}
