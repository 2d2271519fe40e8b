// Display filters, for the eye alone: what the network saw stays as it is. Zero-phase, as SciPy's sosfiltfilt.
import type { Recording } from "./recording.ts";

export const FILTERS = [
  ["", "none", null],
  ["0.5-40", "0.5\u201340 Hz", [0.5, 40]],
  ["0.05-150", "0.05\u2013150 Hz", [0.05, 150]],
] as const;
export const NOTCHES = [
  ["", "none", 0],
  ["50", "50 Hz", 50],
  ["60", "60 Hz", 60],
] as const;
export type Filter = (typeof FILTERS)[number][0];
export type Notch = (typeof NOTCHES)[number][0];

/** b0, b1, b2, a1, a2 of one section; a0 is 1. */
type Section = readonly [number, number, number, number, number];

/** Width of the notch: its frequency over its band at -3 dB. */
const NOTCH_Q = 30;
/** Butterworth, by section: second order above the low corner, fourth below the high one. */
const HIGH_PASS_Q = [Math.SQRT1_2];
const LOW_PASS_Q = [1 / (2 * Math.cos(Math.PI / 8)), 1 / (2 * Math.cos((3 * Math.PI) / 8))];

function butterworth(kind: "low" | "high", corner: number, rate: number, q: number): Section {
  const k = Math.tan((Math.PI * corner) / rate);
  const norm = 1 / (1 + k / q + k * k);
  const b = kind === "low" ? k * k * norm : norm;
  return [b, kind === "low" ? 2 * b : -2 * b, b, 2 * (k * k - 1) * norm, (1 - k / q + k * k) * norm];
}

function notched(frequency: number, rate: number): Section {
  const w = (2 * Math.PI * frequency) / rate;
  const gain = 1 / (1 + Math.tan(w / NOTCH_Q / 2));
  return [gain, -2 * gain * Math.cos(w), gain, -2 * gain * Math.cos(w), 2 * gain - 1];
}

export interface Design {
  readonly sections: readonly Section[];
  /** Samples by which each stretch is continued at both ends, mirrored through its last sample. */
  readonly pad: number;
  /** What was applied, "" = nothing. */
  readonly text: string;
}

/** The part of a choice that a sampling rate allows. */
export function design(filter: Filter, notch: Notch, rate: number): Design {
  const sections: Section[] = [];
  const texts: string[] = [];
  const [, name, band] = FILTERS.find(([value]) => value === filter) ?? FILTERS[0];
  const hum = NOTCHES.find(([value]) => value === notch)?.[2] ?? 0;
  let slowest = 1;
  if (band) {
    const [low, high] = band;
    sections.push(...HIGH_PASS_Q.map((q) => butterworth("high", low, rate, q)));
    slowest = low;
    if (high < 0.45 * rate) {
      sections.push(...LOW_PASS_Q.map((q) => butterworth("low", high, rate, q)));
      texts.push(name);
    } else {
      texts.push(`above ${low} Hz (${high} Hz is out of reach at ${Number(rate.toFixed(2))} Hz sampling)`);
    }
  }
  if (hum > 0 && hum < 0.45 * rate) {
    sections.push(notched(hum, rate));
    texts.push(`notch ${hum} Hz`);
  } else if (hum > 0) {
    texts.push(`no notch: ${hum} Hz is out of reach at ${Number(rate.toFixed(2))} Hz sampling`);
  }
  return { sections, pad: Math.ceil(rate / slowest), text: texts.join(", ") };
}

/** Forwards and backwards through all sections, so that no wave moves. */
export function zeroPhase(sections: readonly Section[], samples: ArrayLike<number>, pad: number): Float64Array {
  const n = samples.length;
  const edge = Math.min(pad, n - 1);
  const x = new Float64Array(n + 2 * edge);
  for (let i = 0; i < n; i++) {
    x[edge + i] = samples[i]!;
  }
  for (let i = 1; i <= edge; i++) {
    x[edge - i] = 2 * samples[0]! - samples[i]!;
    x[edge + n - 1 + i] = 2 * samples[n - 1]! - samples[n - 1 - i]!;
  }
  for (let way = 0; way < 2; way++) {
    run(sections, x);
    x.reverse();
  }
  return x.slice(edge, edge + n);
}

/** In place; each section starts as if its first value had stood for ever. */
function run(sections: readonly Section[], x: Float64Array): void {
  for (const [b0, b1, b2, a1, a2] of sections) {
    const first = x[0]!;
    const level = (first * (b0 + b1 + b2)) / (1 + a1 + a2);
    let s2 = b2 * first - a2 * level;
    let s1 = s2 + b1 * first - a1 * level;
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      const y = b0 * value + s1;
      s1 = b1 * value - a1 * y + s2;
      s2 = b2 * value - a2 * y;
      x[i] = y;
    }
  }
}

/** Stretches between gaps are filtered each on its own: nothing is invented inside a gap. */
export function filtered(samples: Float32Array, { sections, pad }: Design): Float32Array {
  const out = new Float32Array(samples.length).fill(Number.NaN);
  let start = 0;
  while (start < samples.length) {
    let end = start;
    while (end < samples.length && !Number.isNaN(samples[end])) {
      end++;
    }
    if (end > start) {
      out.set(zeroPhase(sections, samples.subarray(start, end), pad), start);
    }
    start = end + 1;
  }
  return out;
}

/** A recording as it is shown: filtered on demand, once for each choice. */
export class DisplayFilter {
  #of: Recording | null = null;
  #choice = "";
  #shown: Recording | null = null;
  /** What the picture must say; "" = nothing is filtered. */
  text = "";

  show(recording: Recording, filter: Filter, notch: Notch): Recording {
    const choice = `${filter} ${notch}`;
    if (this.#shown && this.#of === recording && this.#choice === choice) {
      return this.#shown;
    }
    this.#of = recording;
    this.#choice = choice;
    const plan = design(filter, notch, recording.samplingRate);
    this.text = plan.text;
    this.#shown = recording;
    if (plan.text && recording.decimation > 1) {
      this.text = "display filter off: this view has only the extremes of each column";
    } else if (plan.sections.length > 0) {
      const signal = recording.signal.map((lead) => filtered(lead, plan));
      const without = filter === "" ? recording.median : recording.median.map(() => 0);
      this.#shown = { ...recording, signal, median: without };
    }
    if (this.text && recording.decimation === 1) {
      this.text = `display filter ${this.text}, zero-phase; the network saw the signal without it`;
    }
    return this.#shown;
  }
}
