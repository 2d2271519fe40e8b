// The recording as the page draws it.
import { decode, type EncodedDataset, find, numbers, texts } from "./wire.ts";

export interface Recording {
  readonly record: string;
  /** Hz */
  readonly samplingRate: number;
  readonly leads: readonly string[];
  /** One array a lead; NaN = gap. */
  readonly signal: readonly Float32Array[];
  readonly units: string;
  /** s, time of the first sample */
  readonly start: number;
  /** s, one sample interval behind the last sample */
  readonly end: number;
  /** Text that names every filter already applied; "" = none. */
  readonly filters: string;
  readonly source: string;
  readonly note: string;
  /** Median of each lead, in units. */
  readonly median: readonly number[];
}

export function readRecording(encoded: EncodedDataset): Recording {
  const ds = decode(encoded);
  const variable = find(ds, "signal");
  const all = numbers(ds, "signal");
  const leads = texts(ds, "lead");
  const time = numbers(ds, "time");
  if (variable?.dims.join() !== "lead,time" || all.length !== leads.length * time.length) {
    throw new RangeError(`signal: expected (lead, time) of ${leads.length} x ${time.length}, got ${variable?.dims}`);
  }
  const samplingRate = Number(ds.attrs.sampling_rate);
  if (!(samplingRate > 0)) {
    throw new RangeError(`sampling_rate: expected a positive number of Hz, got ${ds.attrs.sampling_rate}`);
  }
  const n = time.length;
  const signal = leads.map((_, i) => Float32Array.from(all.subarray(i * n, (i + 1) * n)));
  const start = time[0] ?? 0;
  return {
    record: text(ds.attrs.record),
    samplingRate,
    leads,
    signal,
    units: text(variable.attrs.units) || "mV",
    start,
    end: start + n / samplingRate,
    filters: text(ds.attrs.filters),
    source: text(ds.attrs.source),
    note: text(ds.attrs.units_note),
    median: signal.map(median),
  };
}

/** Index of the sample nearest to a time, or -1 outside the recording. */
export function sampleAt(recording: Recording, time: number): number {
  const i = Math.round((time - recording.start) * recording.samplingRate);
  return i >= 0 && i < (recording.signal[0]?.length ?? 0) ? i : -1;
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function median(values: Float32Array): number {
  const finite = values.filter(Number.isFinite).sort();
  return finite[finite.length >> 1] ?? 0;
}
