// A plausible 12-lead record and a segmentation of it, encoded as wire.py would: for tests and for looking.
import type { EncodedDataset, EncodedVariable, Json } from "../src/wire.ts";

const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
/** ms after R, width in ms, and mV in I, II, V1..V6 (III and the augmented leads follow from I and II) */
const WAVES: [number, number, number[]][] = [
  [-165, 24, [0.08, 0.14, 0.06, 0.07, 0.07, 0.07, 0.07, 0.06]],
  [-28, 8, [-0.06, -0.08, 0, 0, -0.03, -0.06, -0.08, -0.08]],
  [0, 11, [0.72, 1.05, 0.24, 0.42, 0.75, 1.4, 1.5, 1.15]],
  [30, 11, [-0.14, -0.2, -0.95, -1.5, -1.05, -0.5, -0.22, -0.1]],
  [285, 52, [0.22, 0.3, -0.05, 0.5, 0.48, 0.42, 0.34, 0.26]],
];

export interface Options {
  seconds?: number;
  rate?: number;
  leads?: string[];
  record?: string;
  /** [start, end] in s, NaN in every lead */
  gap?: [number, number];
  clusters?: number;
  layers?: string[];
  /** s from cell to cell */
  stride?: number;
  offset?: number;
  /** Whether the data says which wave each cell lies in. */
  waves?: boolean;
}

export function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

/** R peaks with a respiratory variation, s */
function peaks(seconds: number): number[] {
  const out: number[] = [];
  for (let t = 0.31; t < seconds + 1; t += 0.83 + 0.05 * Math.sin(1.7 * t)) {
    out.push(t);
  }
  return out;
}

export function waveform(options: Options = {}): EncodedDataset {
  const { seconds = 10, rate = 500, leads = LEADS, record = "00001", gap, offset = 0 } = options;
  const n = Math.round(seconds * rate);
  const random = noise(7);
  const basis = Array.from({ length: 8 }, () => new Float64Array(n));
  const beats = peaks(seconds);
  for (let i = 0; i < n; i++) {
    const t = i / rate;
    for (const r of beats) {
      const ms = 1000 * (t - r);
      if (ms > -300 && ms < 600) {
        for (const [at, width, amplitude] of WAVES) {
          const shape = Math.exp(-0.5 * ((ms - at) / width) ** 2);
          for (let b = 0; b < 8; b++) {
            basis[b]![i]! += amplitude[b]! * shape;
          }
        }
      }
    }
    for (let b = 0; b < 8; b++) {
      basis[b]![i]! += 0.03 * random() + 0.04 * Math.sin(0.9 * t + b);
    }
  }
  const [i1, i2] = [basis[0]!, basis[1]!];
  const all: Record<string, (i: number) => number> = {
    I: (i) => i1[i]!,
    II: (i) => i2[i]!,
    III: (i) => i2[i]! - i1[i]!,
    aVR: (i) => -(i1[i]! + i2[i]!) / 2,
    aVL: (i) => i1[i]! - i2[i]! / 2,
    aVF: (i) => i2[i]! - i1[i]! / 2,
  };
  const chest = (name: string, i: number) => basis[Number(name.slice(1)) + 1]?.[i] ?? i2[i]! / 2;
  const signal = new Int16Array(leads.length * n);
  leads.forEach((name, l) => {
    for (let i = 0; i < n; i++) {
      const value = (all[name]?.(i) ?? chest(name, i)) + offset;
      const missing = gap && i / rate >= gap[0] && i / rate < gap[1];
      signal[l * n + i] = missing ? -32768 : Math.round(value / 0.005);
    }
  });
  return {
    attrs: { record, sampling_rate: rate, source: "synthetic", filters: "", units_note: "" },
    coords: {
      lead: text("lead", leads),
      time: { dims: ["time"], shape: [n], dtype: "range", start: 0, step: 1 / rate, attrs: { units: "s" } },
      r_peak: array(["beat"], [beats.length], "float64", Float64Array.from(beats), { units: "s" }),
    },
    data_vars: {
      signal: {
        dims: ["lead", "time"],
        shape: [leads.length, n],
        dtype: "int16",
        data: signal.buffer,
        scale: leads.map(() => 0.005),
        attrs: { units: "mV" },
      },
    },
  };
}

const TARGETS = ["NORM", "MI", "STTC", "CD", "HYP"];

export function result(options: Options = {}): EncodedDataset {
  const { seconds = 10, record = "00001", gap, clusters = 8, layers = ["blocks.1", "blocks.2", "blocks.3"] } = options;
  const stride = options.stride ?? 0.04;
  const n = Math.max(1, Math.round(seconds / stride));
  const beats = peaks(seconds);
  const random = noise(11);
  const cluster = new Int16Array(n);
  const entropy = new Float32Array(n);
  const waves = new Int8Array(n);
  const map = new Float32Array(2 * n);
  const proportion = new Float32Array(clusters);
  for (let i = 0; i < n; i++) {
    const t = stride * (i + 0.4);
    const r = beats.reduce((latest, peak) => (peak - 0.25 <= t ? peak : latest), -0.5);
    const phase = Math.min(Math.max((t - r + 0.25) / 0.85, 0), 0.999);
    const place = phase ** 0.6 * clusters + 0.3 * random();
    const k = Math.min(Math.max(Math.floor(place), 0), clusters - 1);
    const ms = 1000 * (t - r);
    waves[i] = ms < -100 ? 1 : ms < 60 ? 2 : ms > 180 && ms < 390 ? 3 : 0;
    const masked = gap !== undefined && t >= gap[0] && t < gap[1];
    cluster[i] = masked ? -1 : k;
    entropy[i] = masked
      ? Number.NaN
      : Math.min(0.98, 0.1 + 0.1 * (random() + 0.5) + 0.65 * Math.exp(-9 * Math.abs(place - Math.round(place))));
    const size = 1 + 0.6 * Math.exp(-60 * (phase - 0.3) ** 2);
    map[2 * i] = 3 * size * Math.cos(6.28 * phase) + 0.5 * random();
    map[2 * i + 1] = 2 * size * Math.sin(6.28 * phase) + 0.5 * random();
    if (!masked) {
      proportion[k]! += 1;
    }
  }
  const known = proportion.reduce((a, b) => a + b, 0);
  const contribution = new Float32Array(clusters * TARGETS.length).map(() => 1.6 * random());
  const intercept = Float32Array.from(TARGETS, () => random());
  const logit = intercept.map((b, c) => {
    let sum = b;
    for (let k = 0; k < clusters; k++) {
      sum += contribution[k * TARGETS.length + c]!;
    }
    return sum;
  });
  const cell = (values: Float32Array | Int16Array | Uint8Array | Int8Array, dtype: string) =>
    array(["cell"], [n], dtype, values);
  return {
    attrs: {
      record,
      layers,
      n_clusters: clusters,
      tau: 0.11,
      network: "ResNet1d (PTB-XL superclasses)",
      output: "probability",
      device: "cpu",
      completeness_error: 3e-7,
      contribution_method: "exact: mean over time, then linear",
      contribution_note:
        "The clusters use three blocks; the contributions split the last one only, whose cells see seconds of signal",
      map_explained: [0.41, 0.22],
    },
    coords: {
      centre: { dims: ["cell"], shape: [n], dtype: "range", start: 0.4 * stride, step: stride, attrs: { units: "s" } },
      width: array(["cell"], [n], "float32", new Float32Array(n).fill(1.24), { units: "s" }),
      target: text("target", TARGETS),
    },
    data_vars: {
      cluster: cell(cluster, "int16"),
      entropy: cell(entropy, "float32"),
      margin: cell(
        entropy.map((h) => 1 - h),
        "float32",
      ),
      valid: cell(
        Uint8Array.from(cluster, (k) => (k >= 0 ? 1 : 0)),
        "bool",
      ),
      proportion: array(
        ["cluster"],
        [clusters],
        "float32",
        proportion.map((count) => count / known),
      ),
      cohort_proportion: array(["cluster"], [clusters], "float32", new Float32Array(clusters).fill(1 / clusters)),
      ...(options.waves ? { wave: { ...cell(waves, "int8"), attrs: { flag_meanings: "none P QRS T" } } } : {}),
      slot: array(
        ["cluster"],
        [clusters],
        "uint8",
        Uint8Array.from({ length: clusters }, (_, k) => k),
      ),
      contribution: array(["cluster", "target"], [clusters, TARGETS.length], "float32", contribution),
      contribution_masked: array(["target"], [TARGETS.length], "float32", new Float32Array(TARGETS.length)),
      intercept: array(["target"], [TARGETS.length], "float32", intercept),
      logit: array(["target"], [TARGETS.length], "float32", logit),
      prediction: array(
        ["target"],
        [TARGETS.length],
        "float32",
        logit.map((z) => 1 / (1 + Math.exp(-z))),
      ),
      map: array(["cell", "component"], [n, 2], "float32", map),
    },
  };
}

export function array(
  dims: string[],
  shape: number[],
  dtype: string,
  values: ArrayBufferView,
  attrs: Record<string, Json> = {},
): EncodedVariable {
  return { dims, shape, dtype, attrs, data: new DataView(values.buffer, values.byteOffset, values.byteLength) };
}

export function text(dim: string, data: string[]): EncodedVariable {
  return { dims: [dim], shape: [data.length], dtype: "str", attrs: {}, data };
}
