// Samples -> polylines, in units of pixels. No smoothing, no lost peak, a break at every gap.

/** Time and amplitude to pixels: x = x0 + (i / rate) * perSecond, y = y0 - value * perUnit. */
export interface Frame {
  readonly x0: number;
  readonly y0: number;
  readonly perSample: number;
  readonly perUnit: number;
}

/**
 * Points of the lines through samples `from` to `to` (exclusive), each line a flat list x, y, x, y.
 * Where several samples share a pixel column, its first, least, greatest and last one stay, in their order:
 * the line then covers the same pixels as all samples would.
 */
export function polylines(signal: Float32Array, from: number, to: number, frame: Frame): number[][] {
  const lines: number[][] = [];
  let line: number[] = [];
  let column = Number.NaN;
  let chosen: [number, number, number, number] = [0, 0, 0, 0]; // first, least, greatest, last
  const flush = () => {
    if (Number.isNaN(column)) {
      return;
    }
    let previous = -1;
    for (const i of chosen.slice().sort((a, b) => a - b)) {
      if (i !== previous) {
        line.push(frame.x0 + (i - from) * frame.perSample, frame.y0 - signal[i]! * frame.perUnit);
      }
      previous = i;
    }
    column = Number.NaN;
  };
  for (let i = from; i < to; i++) {
    const value = signal[i]!;
    if (Number.isNaN(value)) {
      flush();
      if (line.length > 0) {
        lines.push(line);
        line = [];
      }
      continue;
    }
    const here = Math.floor(frame.x0 + (i - from) * frame.perSample);
    if (here !== column) {
      flush();
      column = here;
      chosen = [i, i, i, i];
    } else {
      chosen = [chosen[0], value < signal[chosen[1]]! ? i : chosen[1], value > signal[chosen[2]]! ? i : chosen[2], i];
    }
  }
  flush();
  if (line.length > 0) {
    lines.push(line);
  }
  return lines;
}
