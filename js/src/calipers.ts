// Calipers: what they measure, how that reads, and how they are drawn. Pure; each end is on a sample.
import { fontOf } from "./backdrop.ts";
import type { Scene } from "./canvas.ts";
import { signed } from "./element.ts";
import { type Trace, toX, toY } from "./layout.ts";
import type { Pen } from "./pen.ts";
import { type Recording, sampleAt } from "./recording.ts";
import { clock } from "./ruler.ts";

export const KINDS = [
  ["time", "Time"],
  ["voltage", "Voltage"],
  ["march", "March out"],
  ["rr", "R-R"],
  ["qt", "QT, QTc"],
] as const;
export type Kind = (typeof KINDS)[number][0];

/** As it travels to Python: plain JSON. Values are there where they could be measured. */
export interface Caliper {
  readonly kind: Kind;
  readonly record: string;
  /** As recorded, also where it is drawn upside down. */
  readonly lead: string;
  /** s, on samples; of a voltage the first one is the reference */
  readonly start: number;
  readonly end: number;
  readonly ms?: number;
  readonly bpm?: number;
  readonly mV?: number;
  readonly rr_ms?: number;
  readonly bazett_ms?: number;
  readonly fridericia_ms?: number;
  /** Where an end was set on a picture of extremes: each stands for so much time, and the end may be as much beside. */
  readonly column_ms?: number;
}

/** ms; intervals of single beats are not read off wider columns: half a small square */
const FINE = 20;

/** ms that each drawn column of extremes stands for; 0 where every sample is drawn */
export function columnOf({ decimation, samplingRateRecorded }: Recording): number {
  return decimation > 1 ? round((1000 * decimation) / samplingRateRecorded, 3) : 0;
}

/** Why a kind cannot be measured here; "" where it can. */
export function obstacle(kind: Kind, recording: Recording): string {
  const column = columnOf(recording);
  return (kind === "rr" || kind === "qt") && column > FINE
    ? `R-R and QT need every sample; here a column stands for ${spanText(column)}: show a shorter part`
    : "";
}

/** With an end somewhere else: what was measured before is gone. */
export function moved(caliper: Caliper, ends: { start?: number; end?: number }, recording: Recording): Caliper {
  const { kind, record, lead, start, end, column_ms = 0 } = { ...caliper, ...ends };
  const column = Math.max(columnOf(recording), column_ms);
  return { kind, record, lead, start, end, ...(column > 0 ? { column_ms: column } : {}) };
}

/** Time of the nearest sample inside the recording. */
export function snap(recording: Recording, time: number): number {
  const last = (recording.signal[0]?.length ?? 1) - 1;
  const i = Math.min(Math.max(Math.round((time - recording.start) * recording.samplingRate), 0), last);
  return round(recording.start + i / recording.samplingRate, 6);
}

/** QT corrected for the heart rate: both intervals in s. */
export const bazett = (qt: number, rr: number): number => qt / Math.sqrt(rr);
export const fridericia = (qt: number, rr: number): number => qt / Math.cbrt(rr);

/** All of them with their values; of other records they stay as they are. */
export function measured(calipers: readonly Caliper[], recording: Recording): Caliper[] {
  const rr = calipers.filter((c) => c.kind === "rr" && c.record === recording.record && c.end > c.start).at(-1);
  return calipers.map((c) => (c.record === recording.record ? one(c, recording, rr ? rr.end - rr.start : 0) : c));
}

function one(caliper: Caliper, recording: Recording, rr: number): Caliper {
  const { kind, record, lead, start, end, mV, column_ms } = caliper;
  const at = { kind, record, lead, start, end, ...(column_ms === undefined ? {} : { column_ms }) };
  if (kind === "voltage") {
    // Of a value that was read off other samples than are drawn now, those are the better ones.
    const here = recording.decimation === 1 && [start, end].every((time) => sampleAt(recording, time) >= 0);
    if (mV !== undefined && (column_ms !== undefined || !here)) {
      return { ...at, mV };
    }
    const signal = recording.signal[recording.leads.indexOf(lead)];
    const value = (time: number) => signal?.[sampleAt(recording, time)] ?? Number.NaN;
    const difference = value(end) - value(start);
    // The value in mV; of a signal in another unit its name would be wrong.
    return Number.isNaN(difference) || recording.units !== "mV" ? at : { ...at, mV: round(difference, 4) };
  }
  const seconds = Math.abs(end - start);
  const ms = round(1000 * seconds, 3);
  if (kind === "time" || seconds === 0) {
    return { ...at, ms };
  }
  if (kind !== "qt") {
    return { ...at, ms, bpm: round(60 / seconds, 2) };
  }
  return rr > 0
    ? {
        ...at,
        ms,
        rr_ms: round(1000 * rr, 3),
        bazett_ms: round(1000 * bazett(seconds, rr), 2),
        fridericia_ms: round(1000 * fridericia(seconds, rr), 2),
      }
    : { ...at, ms };
}

/** "820 ms", "72.4 s", "31.5 min" */
function spanText(ms: number): string {
  return ms < 10_000
    ? `${Math.round(ms)} ms`
    : ms < 600_000
      ? `${(ms / 1000).toFixed(1)} s`
      : `${(ms / 60_000).toFixed(1)} min`;
}

/** "1:02:03.45" */
function hourText(time: number): string {
  const hundredths = Math.round(100 * Math.max(time, 0));
  return `${clock(Math.floor(hundredths / 100), true)}.${String(hundredths % 100).padStart(2, "0")}`;
}

/** The value as it stands on the paper. */
export function valueText(c: Caliper): string {
  const ms = (value: number | undefined) => (value === undefined ? "?" : String(Math.round(value)));
  const near = c.column_ms === undefined ? "" : ` \u00b1 ${spanText(c.column_ms)}`;
  const long = c.ms === undefined ? "? ms" : `${spanText(c.ms)}${near}`;
  switch (c.kind) {
    case "voltage":
      return c.mV === undefined ? "no voltage here" : `${signed(c.mV)} mV`;
    case "time":
      return long;
    case "march":
      return c.bpm === undefined || c.bpm < 1 ? long : `${long}, ${ms(c.bpm)}/min`;
    case "rr":
      return c.bpm === undefined ? `RR ${long}` : `RR ${long}, ${ms(c.bpm)}/min`;
    case "qt":
      return c.rr_ms === undefined
        ? `QT ${long}`
        : `QT ${ms(c.ms)} ms, QTc ${ms(c.bazett_ms)} Bazett, ${ms(c.fridericia_ms)} Fridericia`;
  }
}

/** The whole of it in words. */
export function caliperText(c: Caliper): string {
  const name = KINDS.find(([kind]) => kind === c.kind)?.[1] ?? c.kind;
  const missing = c.kind === "qt" && c.rr_ms === undefined ? "; QTc needs an R-R caliper" : "";
  const from = c.rr_ms === undefined ? "" : ` (RR ${Math.round(c.rr_ms)} ms)`;
  const near = c.column_ms === undefined ? "" : `; ends on extremes of columns of ${spanText(c.column_ms)}`;
  const ends =
    c.end < 600 ? `${c.start.toFixed(3)} to ${c.end.toFixed(3)} s` : `${hourText(c.start)} to ${hourText(c.end)}`;
  return `${name}, lead ${c.lead}, ${ends}: ${valueText(c)}${from}${missing}${near}`;
}

/** Over everything else, on each trace of the caliper's lead. */
export function drawCalipers(c: Pen, mm: number, scene: Scene, calipers: readonly Caliper[]): void {
  const { layout, recording } = scene;
  if (calipers.length === 0) {
    return;
  }
  c.part?.("calipers");
  const labels: Label[] = [];
  const traces = layout.blocks.flatMap((block) => block.traces);
  for (const caliper of calipers) {
    for (const trace of traces) {
      const { t0, t1 } = trace.area;
      const [early, late] = [Math.min(caliper.start, caliper.end), Math.max(caliper.start, caliper.end)];
      const here = caliper.record === recording.record && recording.leads[trace.lead] === caliper.lead;
      if (here && early <= t1 + 1e-9 && late >= t0 - 1e-9) {
        drawOne(c, mm, scene, trace, caliper, labels);
      }
    }
  }
}

/** Where a value is written: its middle, half its width, the line that it stands on, in pixels. */
interface Label {
  readonly at: number;
  readonly wide: number;
  readonly y: number;
}

/** Above the labels that would lie under it, below them where the paper ends. */
export function free(label: Label, others: readonly Label[], tall: number): Label {
  for (let step = 0; step <= 2 * others.length; step++) {
    const way = step <= others.length ? -step : step - others.length;
    const y = label.y + way * tall;
    const over = (other: Label) =>
      Math.abs(other.y - y) < tall - 1e-6 && Math.abs(other.at - label.at) < other.wide + label.wide;
    if (y >= tall && !others.some(over)) {
      return { ...label, y };
    }
  }
  return label;
}

function drawOne(c: Pen, mm: number, scene: Scene, trace: Trace, caliper: Caliper, labels: Label[]): void {
  const { layout, theme, recording, devicePixelRatio } = scene;
  const { area } = trace;
  const line = Math.max(devicePixelRatio, 0.25 * mm);
  const half = Math.min(layout.pitch / 2, 9);
  const [top, bottom] = [Math.max(trace.baseline - half, 1), trace.baseline + 0.6 * half];
  const inside = (time: number) => time >= area.t0 - 1e-9 && time <= area.t1 + 1e-9;
  const x = (time: number) => toX(area, Math.min(Math.max(time, area.t0), area.t1)) * mm;
  c.fillStyle = theme.caliper;
  const upright = (time: number, from: number, to: number, wide = line) =>
    c.fillRect(x(time) - wide / 2, from * mm, wide, (to - from) * mm);
  const { start, end } = caliper;
  const middle = (x(start) + x(end)) / 2;
  let labelY = top - 0.8;
  if (caliper.kind === "voltage") {
    const signal = recording.signal[trace.lead]!;
    const ys = [start, end].map((time) => toY(trace, signal[sampleAt(recording, time)] ?? Number.NaN));
    const [from, to] = ys as [number, number];
    if (!Number.isNaN(from) && !Number.isNaN(to)) {
      const [left, right] = [Math.min(x(start), x(end)) - 2 * mm, Math.max(x(start), x(end)) + 2 * mm];
      for (const y of [from, to]) {
        c.fillRect(left, y * mm - line / 2, right - left, line);
      }
      upright(end, Math.min(from, to), Math.max(from, to));
      labelY = Math.min(from, to) - 0.8;
    }
  } else {
    for (const time of [start, end].filter(inside)) {
      upright(time, top, bottom);
    }
    c.fillRect(Math.min(x(start), x(end)), top * mm, Math.abs(x(end) - x(start)), line);
    if (caliper.kind === "march" && Math.abs(end - start) * area.speed >= 1) {
      const step = Math.abs(end - start);
      for (let n = Math.ceil((area.t0 - start) / step); start + n * step <= area.t1; n++) {
        upright(start + n * step, trace.baseline - 0.6 * half, bottom, line);
      }
    }
  }
  c.font = fontOf(mm, scene, 2.8, 600);
  c.textBaseline = "alphabetic";
  c.textAlign = "center";
  const text = valueText(caliper);
  const wide = c.measureText(text).width / 2 + 0.5 * mm;
  const [least, most] = [layout.clusterStrip.x * mm, (layout.width - 1) * mm];
  const at = Math.max(least + wide, Math.min(middle, most - wide));
  labels.push(free({ at, wide, y: Math.max(labelY, 3.2) * mm }, labels, 3 * mm));
  const { y } = labels.at(-1)!;
  c.lineJoin = "round";
  c.strokeStyle = theme.paper;
  c.lineWidth = 3 * devicePixelRatio;
  c.strokeText(text, at, y);
  c.fillText(text, at, y);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
