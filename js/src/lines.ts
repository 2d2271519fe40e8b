// The line of one lead on the paper, and pieces of it.
import { type Trace, toX } from "./layout.ts";
import type { Recording } from "./recording.ts";
import { type Polyline, trace } from "./trace.ts";

/** Appends the line of a trace, in units of which `mm` are a millimetre. */
export function lineOf(
  recording: Recording,
  { lead, area, baseline, offset, sign, gain }: Trace,
  mm: number,
  out: Polyline,
): void {
  const signal = recording.signal[lead]!;
  const rate = recording.samplingRate;
  const from = Math.max(0, Math.ceil((area.t0 - recording.start) * rate - 1e-6));
  // One sample more than the stretch holds closes the line at the column's border.
  const to = Math.min(signal.length, Math.floor((area.t1 - recording.start) * rate + 1e-6) + 1);
  const frame = {
    x0: toX(area, recording.start + from / rate) * mm,
    y0: (baseline + sign * offset * gain) * mm,
    perSample: (area.speed * mm) / rate,
    perUnit: sign * gain * mm,
  };
  trace(signal, from, to, frame, out);
}

/** Appends what of a line lies between two x; its ends are where it crosses them. */
export function cut({ xy, length }: Polyline, left: number, right: number, out: Polyline): void {
  for (let i = 0; i + 2 < length; i += 2) {
    const [ax, ay, bx, by] = [xy[i]!, xy[i + 1]!, xy[i + 2]!, xy[i + 3]!];
    if (Number.isNaN(ax) || Number.isNaN(bx) || bx < left || ax > right) {
      out.end();
      continue;
    }
    const at = (x: number) => (bx > ax ? ay + ((x - ax) / (bx - ax)) * (by - ay) : by);
    if (out.length === 0 || Number.isNaN(out.xy[out.length - 1])) {
      out.push(Math.max(ax, left), ax < left ? at(left) : ay);
    }
    out.push(Math.min(bx, right), bx > right ? at(right) : by);
  }
  out.end();
}
