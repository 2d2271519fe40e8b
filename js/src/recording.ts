// The recording as the page draws it.
import { decode, type EncodedDataset, find, numbers, texts, type Values } from "./wire.ts";

export interface Recording {
  readonly record: string;
  /** Hz of the samples here */
  readonly samplingRate: number;
  /** Hz as recorded */
  readonly samplingRateRecorded: number;
  /** 1 = every sample; else of so many samples the least and the greatest are here, in their order. */
  readonly decimation: number;
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
  /** What was found wrong with the recording when it was opened. */
  readonly findings: readonly string[];
  /** s, one a heart beat; empty where none were found or looked for */
  readonly rPeaks: Values;
  /** Median of each lead's samples, or of some of them where they are many, in units. */
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
  const values = all instanceof Float32Array ? all : Float32Array.from(all);
  const signal = leads.map((_, i) => values.subarray(i * n, (i + 1) * n));
  const start = time[0] ?? 0;
  return {
    record: text(ds.attrs.record),
    samplingRate,
    samplingRateRecorded: Number(ds.attrs.sampling_rate_recorded ?? samplingRate),
    decimation: Number(ds.attrs.decimation ?? 1),
    leads,
    signal,
    units: text(variable.attrs.units) || "mV",
    start,
    end: start + n / samplingRate,
    filters: text(ds.attrs.filters),
    source: text(ds.attrs.source),
    note: text(ds.attrs.units_note),
    findings: Array.isArray(ds.attrs.findings) ? ds.attrs.findings.map(text) : [],
    rPeaks: find(ds, "r_peak") ? numbers(ds, "r_peak") : new Float64Array(0),
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

/** Of so many samples spread over a lead: all of them would take longer than drawing them does. */
const SAMPLED = 1000;

function median(values: Float32Array): number {
  const step = Math.max(1, Math.floor(values.length / SAMPLED));
  const left = new Float32Array(Math.ceil(values.length / step));
  let n = 0;
  for (let i = 0; i < values.length; i += step) {
    if (!Number.isNaN(values[i])) {
      left[n++] = values[i]!;
    }
  }
  return n === 0 ? 0 : ranked(left, n, n >> 1);
}

/** The value that would be at an index were the first `n` sorted (Hoare's selection; it moves them). */
export function ranked(values: Float32Array, n: number, index: number): number {
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i <= j) {
        const value = values[i]!;
        values[i++] = values[j]!;
        values[j--] = value;
      }
    }
    if (index <= j) high = j;
    else if (index >= i) low = i;
    else break;
  }
  return values[index]!;
}
