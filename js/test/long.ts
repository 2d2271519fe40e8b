// A day of ECG that nobody stores: any stretch of it is made when it is asked for, and answered as Python does.
import type { Traits } from "../src/state.ts";
import type { EncodedDataset } from "../src/wire.ts";
import type { MockModel } from "./model.ts";
import { array, noise, result, text } from "./synthetic.ts";

export interface LongOptions {
  hours?: number;
  rate?: number;
  leads?: string[];
  record?: string;
  /** Share of the recording that the envelope has seen. */
  read?: number;
}

const MAX_SAMPLES = 60_000;
const SEGMENTS_S = 120;
const STEP = 0.005;
const GAP = -32768;

/** Seconds of the R peak number i: a slow rhythm at night, a fast one in an episode by day. */
const RR = 0.84;
const peak = (i: number) => 0.31 + RR * i + 0.03 * Math.sin(0.9 * i) + 0.02 * Math.sin(2.3 * i);

function value(lead: number, time: number, whole: number): number {
  const i = Math.round((time - 0.31) / RR);
  let sum = 0.03 * Math.sin(0.9 * time + lead) + 0.012 * Math.sin(317 * time + 5 * lead);
  const active = 1 + 0.35 * Math.sin((6.28 * time) / whole);
  const size = [0.8, 1.1, 0.55, 1.3, 0.7, 0.9][lead % 6]! * active;
  for (const r of [peak(i - 1), peak(i), peak(i + 1)]) {
    const ms = 1000 * (time - r);
    if (ms > -300 && ms < 600) {
      sum += size * Math.exp(-0.5 * (ms / 11) ** 2) - 0.22 * size * Math.exp(-0.5 * ((ms - 30) / 11) ** 2);
      sum += 0.1 * Math.exp(-0.5 * ((ms + 165) / 24) ** 2) + 0.24 * Math.exp(-0.5 * ((ms - 285) / 52) ** 2);
    }
  }
  return sum;
}

/** Least and greatest of a stretch longer than a beat: of as many moments as show them. */
function extremes(lead: number, from: number, to: number, whole: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const look = (time: number) => {
    const v = value(lead, time, whole);
    low = Math.min(low, v);
    high = Math.max(high, v);
  };
  const first = Math.ceil((from - 0.4) / RR);
  for (let i = first; i <= first + 3; i++) {
    for (const at of [peak(i), peak(i) + 0.034]) {
      if (at >= from && at < to) {
        look(at);
      }
    }
  }
  for (let k = 0; k < 6; k++) {
    look(from + ((k + 0.5) / 6) * (to - from));
  }
  return [low, high];
}

export class LongRecording {
  readonly record: string;
  readonly whole: number;
  readonly #rate: number;
  readonly #leads: string[];

  constructor({ hours = 24, rate = 250, leads = ["I", "II", "V1"], record = "holter" }: LongOptions = {}) {
    this.record = record;
    this.whole = 3600 * hours;
    this.#rate = rate;
    this.#leads = leads;
  }

  waveform([from, to]: readonly [number, number]): EncodedDataset {
    const recorded = Math.round((to - from) * this.#rate);
    const decimation = recorded > MAX_SAMPLES ? Math.ceil((2 * recorded) / MAX_SAMPLES) : 1;
    const n = decimation > 1 ? 2 * Math.floor(recorded / decimation) : recorded;
    const rate = decimation > 1 ? (2 * this.#rate) / decimation : this.#rate;
    const signal = new Int16Array(this.#leads.length * n);
    this.#leads.forEach((_, lead) => {
      for (let i = 0; i < n; i++) {
        const time = from + i / rate;
        if (decimation === 1) {
          signal[lead * n + i] = Math.round(value(lead, time, this.whole) / STEP);
        } else if (i % 2 === 0) {
          const [low, high] = extremes(lead, time, time + decimation / this.#rate, this.whole);
          signal[lead * n + i] = Math.round(low / STEP);
          signal[lead * n + i + 1] = Math.round(high / STEP);
        }
      }
    });
    return {
      attrs: {
        record: this.record,
        sampling_rate: rate,
        sampling_rate_recorded: this.#rate,
        decimation,
        source: "synthetic",
        filters: "",
        units_note: "",
      },
      coords: {
        lead: text("lead", this.#leads),
        time: { dims: ["time"], shape: [n], dtype: "range", start: from, step: 1 / rate, attrs: { units: "s" } },
      },
      data_vars: { signal: this.#scaled(["lead", "time"], [this.#leads.length, n], signal) },
    };
  }

  overview(read = 1, columns = 1024): EncodedDataset {
    const envelope = new Int16Array(2 * columns * this.#leads.length).fill(GAP);
    const width = this.whole / columns;
    this.#leads.forEach((_, lead) => {
      for (let i = 0; i < columns * read; i++) {
        const [low, high] = extremes(lead, i * width, (i + 1) * width, this.whole);
        envelope[2 * (lead * columns + i)] = Math.round(low / STEP);
        envelope[2 * (lead * columns + i) + 1] = Math.round(high / STEP);
      }
    });
    return {
      attrs: { record: this.record, start: 0, end: this.whole, sampling_rate: this.#rate, read },
      coords: {
        lead: text("lead", this.#leads),
        column_centre: { dims: ["column"], shape: [columns], dtype: "range", start: width / 2, step: width, attrs: {} },
      },
      data_vars: { envelope: this.#scaled(["lead", "column", "bound"], [this.#leads.length, columns, 2], envelope) },
    };
  }

  result(span: readonly [number, number], clusters: number, layers: string[]): EncodedDataset {
    const seconds = span[1] - span[0];
    const cells = seconds <= SEGMENTS_S;
    const encoded = result({ seconds: cells ? seconds : 10, clusters, layers, record: this.record });
    const { centre, width } = encoded.coords;
    encoded.coords.centre = { ...centre!, start: span[0] + (centre!.start ?? 0) };
    if (!cells) {
      encoded.coords.centre = { ...encoded.coords.centre, shape: [0] };
      encoded.coords.width = { ...width!, shape: [0], data: new ArrayBuffer(0) };
      for (const [name, variable] of Object.entries(encoded.data_vars)) {
        if (variable.dims[0] === "cell") {
          encoded.data_vars[name] = { ...variable, shape: [0, ...variable.shape.slice(1)], data: new ArrayBuffer(0) };
        }
      }
    }
    const all = Math.floor(this.whole / 10);
    const drawn = Math.min(512, all);
    encoded.attrs = {
      ...encoded.attrs,
      span: [...span],
      windows: Math.ceil(seconds / 10),
      density_windows: [drawn, all],
    };
    encoded.coords.density_centre = array(
      ["window"],
      [drawn],
      "float64",
      Float64Array.from({ length: drawn }, (_, w) => 10 * Math.floor((w * all) / drawn) + 5),
    );
    encoded.data_vars.density = array(
      ["window", "cluster"],
      [drawn, clusters],
      "uint8",
      this.#density(drawn, clusters),
    );
    return encoded;
  }

  /** Shares that change slowly, and otherwise in an episode of the afternoon. */
  #density(windows: number, clusters: number): Uint8Array {
    const random = noise(5);
    const out = new Uint8Array(windows * clusters);
    for (let w = 0; w < windows; w++) {
      const at = w / windows;
      const episode = at > 0.55 && at < 0.68;
      const weight = Array.from({ length: clusters }, (_, k) => {
        const slow = 1 + 0.5 * Math.sin(6.28 * at + k);
        return Math.max(0.02, slow + (episode && k % 3 === 0 ? 3 : 0) + 0.5 * random());
      });
      const sum = weight.reduce((a, b) => a + b, 0);
      for (let k = 0; k < clusters; k++) {
        out[w * clusters + k] = Math.round((255 * weight[k]!) / sum);
      }
    }
    return out;
  }

  #scaled(dims: string[], shape: number[], values: Int16Array) {
    const variable = array(dims, shape, "int16", values, { units: "mV" });
    return { ...variable, scale: this.#leads.map(() => STEP) };
  }

  /** What the kernel sends for a choice. */
  answer(span: readonly number[], clusters: number, layers: string[]): Partial<Traits> {
    const from = Math.max(0, span[0] ?? 0);
    const to = Math.min(this.whole, span[1] ?? 30);
    return {
      progress: "",
      waveform: this.waveform([from, to]),
      result: this.result([from, to], clusters, layers),
    };
  }
}

/** A kernel that answers the newest request a little later; counts what it was asked for. */
export function answerSpans(mock: MockModel, recording: LongRecording, delay: number): { asked: number[][] } {
  const log = { asked: [] as number[][] };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const compute = () =>
    mock.receive(recording.answer(mock.get("span"), mock.get("n_clusters"), [...mock.get("layers")]));
  mock.receive({ overview: recording.overview() });
  compute();
  for (const name of ["span", "n_clusters", "layers"]) {
    mock.on(`change:${name}`, () => {
      if (name === "span") {
        log.asked.push([...mock.get("span")]);
      }
      mock.receive({ progress: "reading" });
      clearTimeout(timer);
      timer = setTimeout(compute, delay);
    });
  }
  return log;
}
