// What a reader must not take for the heart: samples at the limit of the recorder, and lines that leave the paper.
import { type Layout, type Trace, toX, toY } from "./layout.ts";
import type { Recording } from "./recording.ts";

/** s, samples and units: a peak that stays on the lead's extreme value for so long, so far out, has been cut off. */
const PLATEAU = 0.02;
const FEWEST = 4;
const FAR = 1;

/** First and last sample of each stretch at a lead's least or greatest value. */
export function clippedStretches(signal: Float32Array, median: number, rate: number): [number, number][] {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < signal.length; i++) {
    const value = signal[i]!;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const long = Math.max(FEWEST, Math.ceil(PLATEAU * rate));
  const found: [number, number][] = [];
  // A stretch of so many samples holds one of every `long`.
  for (let i = long - 1; i < signal.length; i += long) {
    const limit = signal[i]!;
    if ((limit === least || limit === greatest) && Math.abs(limit - median) >= FAR) {
      let first = i;
      while (signal[first - 1] === limit) first--;
      while (signal[i + 1] === limit) i++;
      if (i - first + 1 >= long) {
        found.push([first, i]);
      }
    }
  }
  return found;
}

export interface Flag {
  readonly kind: "clipped" | "above" | "below";
  readonly lead: string;
  /** mm */
  readonly x: number;
  readonly y: number;
}

/** Found once a lead. */
export type Clipped = WeakMap<Float32Array, [number, number][]>;

/** Of what can be seen. `raw` is the recording before any display filter, in which limits are still limits. */
export function flagsOf(layout: Layout, shown: Recording, raw: Recording, known: Clipped): Flag[] {
  if (shown.decimation > 1) {
    return [];
  }
  const traces = layout.blocks.flatMap((block) => block.traces);
  return traces.flatMap((trace) => [...clippedIn(trace, shown, raw, known), ...beyond(trace, layout, shown)]);
}

function clippedIn(trace: Trace, shown: Recording, raw: Recording, known: Clipped): Flag[] {
  const signal = raw.signal[trace.lead]!;
  let stretches = known.get(signal);
  if (!stretches) {
    stretches = clippedStretches(signal, raw.median[trace.lead]!, raw.samplingRate);
    known.set(signal, stretches);
  }
  const { t0, t1 } = trace.area;
  return stretches
    .map(([first, last]) => (first + last) / 2)
    .map((i) => [raw.start + i / raw.samplingRate, shown.signal[trace.lead]![Math.round(i)]!] as const)
    .filter(([time]) => time >= t0 && time <= t1)
    .map(([time, value]) => ({ kind: "clipped", lead: trace.name, x: toX(trace.area, time), y: toY(trace, value) }));
}

/** One flag for each side of the paper that a trace leaves, where it is farthest out. */
function beyond(trace: Trace, layout: Layout, { signal, samplingRate, start }: Recording): Flag[] {
  const values = signal[trace.lead]!;
  const { t0, t1 } = trace.area;
  const to = Math.min(values.length, Math.ceil((t1 - start) * samplingRate));
  let [least, greatest] = [-1, -1];
  for (let i = Math.max(0, Math.ceil((t0 - start) * samplingRate)); i < to; i++) {
    const value = values[i]!;
    if (least < 0 ? !Number.isNaN(value) : value < values[least]!) least = i;
    if (greatest < 0 ? !Number.isNaN(value) : value > values[greatest]!) greatest = i;
  }
  return [least, greatest]
    .filter((i) => i >= 0)
    .map((i) => ({ lead: trace.name, x: toX(trace.area, start + i / samplingRate), y: toY(trace, values[i]!) }))
    .filter(({ y }) => y < 0 || y > layout.height)
    .map(({ lead, x, y }) => ({ kind: y < 0 ? "above" : "below", lead, x, y: y < 0 ? 0 : layout.height }));
}

/** "clipped by the recorder: V2, V3", each lead once; "" without any. */
export function flagsText(flags: readonly Flag[]): string {
  const names = (kinds: readonly Flag["kind"][]) =>
    [...new Set(flags.filter(({ kind }) => kinds.includes(kind)).map(({ lead }) => lead))].join(", ");
  const clipped = names(["clipped"]);
  const away = names(["above", "below"]);
  return [clipped && `clipped by the recorder: ${clipped}`, away && `leaves the paper: ${away}`]
    .filter(Boolean)
    .join("; ");
}
