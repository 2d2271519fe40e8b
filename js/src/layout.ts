// The picture in millimetres: where each lead, label, strip and time axis lies. Painters scale it, nothing else.
import {
  COLUMNS,
  hasTwelveLeads,
  type PaperSettings,
  pitchOf,
  placed,
  rowsOf,
  STANDARD,
  TITLES,
} from "./arrangements.ts";
import { LARGE, SPEED } from "./paper.ts";
import type { Recording } from "./recording.ts";
import { axisStep, clock, timeText } from "./ruler.ts";

/** A stretch of the time axis on the paper: x = area.x + (t - t0) * speed. */
export interface Area {
  readonly t0: number;
  readonly t1: number;
  /** mm of paper for one second */
  readonly speed: number;
  readonly x: number;
  readonly y: number;
  readonly height: number;
}

export interface Trace {
  readonly lead: number;
  /** As it is written on the paper. */
  readonly name: string;
  /** -1 = drawn upside down */
  readonly sign: 1 | -1;
  /** mm of paper for one unit of the signal */
  readonly gain: number;
  readonly area: Area;
  /** mm, where `offset` lies */
  readonly baseline: number;
  /** Value drawn on the baseline: 0, or the lead's median where that is far from 0. */
  readonly offset: number;
}

/** Areas side by side that share no millimetre of x, and the traces over them. */
export interface Block {
  readonly areas: readonly Area[];
  readonly traces: readonly Trace[];
}

export interface Label {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly align: "left" | "right" | "center";
  readonly role: "lead" | "axis";
  /** Reads from the bottom to the top. */
  readonly upright?: boolean;
}

export interface Layout {
  readonly width: number;
  /** The paper may be this wide, where a screen has room left over. */
  readonly widest: number;
  /** Layouts of one recording and one key show the same, but for the width of their margin. */
  readonly key: string;
  readonly height: number;
  /** The grid covers 0..width and 0..gridHeight. */
  readonly gridHeight: number;
  readonly blocks: readonly Block[];
  readonly labels: readonly Label[];
  /** Column separators: x and the y of their middle. */
  readonly separators: readonly { readonly x: number; readonly y: number }[];
  /** Baselines that start with a calibration pulse at x = PULSE_X. */
  readonly pulses: readonly number[];
  readonly clusterStrip: Area;
  readonly entropyStrip: Area;
  /** Cells would be narrower than a pixel: shares of clusters take the place of both strips. */
  readonly density: boolean;
  /** Less than 25 mm/s. */
  readonly slow: boolean;
  /** Times under the strips. */
  readonly seconds: readonly { readonly x: number; readonly text: string }[];
  /** mm of paper for one second, and for one unit of the signal */
  readonly speed: number;
  readonly gain: number;
  /** mm from row to row */
  readonly pitch: number;
  /** What the footer must say. */
  readonly arrangement: readonly string[];
  readonly shift: number;
  /** s, the part of the recording that is shown */
  readonly window: readonly [number, number];
  /** s, where the recording begins and times are counted from */
  readonly origin: number;
}

/** What is to be seen of a recording, s. */
export interface Sight {
  readonly start: number;
  readonly seconds: number;
  /** Start and end of the whole recording, of which only a part may be there. */
  readonly whole: readonly [number, number];
}

/** s, longest stretch at 25 mm/s: the width of common paper */
export const WINDOW = 10;
/** s, longest stretch of which single cells are shown */
export const CELLS = 60;
export const PULSE_X = 1;
const RIGHT = 5;
const TOP = 5;
/** A lead this far from 0 (mV) is drawn around its median instead, and the footer says so. */
const FAR = 0.5;

/** Latest start of the window, s: 0 where the whole recording fits. */
export function lastStart(recording: Recording): number {
  return Math.max(0, recording.end - recording.start - WINDOW);
}

/** The 10 s from `start` seconds after the recording's beginning. */
export function sightOf(recording: Recording, start = 0): Sight {
  const first = Math.min(Math.max(start, 0), lastStart(recording));
  return { start: recording.start + first, seconds: WINDOW, whole: [recording.start, recording.end] };
}

/** `levels` are the values that far-off baselines are drawn around, where those of the recording would not stay. */
export function arrange(
  recording: Recording,
  settings: PaperSettings = STANDARD,
  sight: Sight = sightOf(recording),
  levels: readonly number[] = recording.median,
): Layout {
  const slow = sight.seconds > WINDOW;
  const chosen = settings.arrangement;
  const kind = chosen === "leads" || (hasTwelveLeads(recording.leads) && !slow) ? chosen : "rows";
  const { gain } = settings;
  const speed = slow ? (WINDOW * SPEED) / sight.seconds : settings.speed;
  const left = speed > SPEED ? 15 : 10; // room for the pulse of 0.2 s
  const [origin, end] = sight.whole;
  const whole = end - origin;
  const t0 = sight.start;
  const t1 = Math.min(t0 + sight.seconds, end);
  const inRows = rowsOf(recording.leads, { ...settings, arrangement: kind });
  const pitch = pitchOf(kind, inRows.length, gain);
  const place = (name: string, row: number, area: Area, known = placed(recording.leads, name)): Trace => {
    const median = levels[known.lead]!;
    const offset = Math.abs(median) > FAR ? median : 0;
    return { ...known, name, gain, area, baseline: TOP + row * pitch + baselineIn(pitch), offset };
  };
  const area = (from: number, to: number, x: number, y: number, height: number): Area => ({
    t0: from,
    t1: to,
    speed,
    x,
    y,
    height,
  });
  const blocks: Block[] = [];
  const arrangement: string[] = [];
  let rows: number;
  let inner = slow ? WINDOW * SPEED : WINDOW * speed;
  const columns = COLUMNS[kind];

  if (!columns) {
    rows = inRows.length;
    inner = Math.max((t1 - t0) * speed, 4 * LARGE);
    const all = area(t0, t1, left, TOP, rows * pitch);
    const traces = inRows.map((lead, row) => place(recording.leads[lead]!, row, all, { lead, sign: 1 }));
    blocks.push({ areas: [all], traces });
    const of = rows < recording.leads.length ? ` of ${recording.leads.length}` : "";
    arrangement.push(`${rows}${of} ${rows === 1 && !of ? "lead" : "leads"}, simultaneous`);
  } else {
    const rhythm = columns.length === 4 ? 1 : 0;
    const span = WINDOW / columns.length;
    const tall = columns[0]!.length;
    rows = tall + rhythm;
    // A column must hold its own stretch of time; a recording too short for that shows the same start in each.
    const sequential = kind !== "3x4-simultaneous" && t1 - t0 > WINDOW - 0.5 * span;
    const areas = columns.map((_, c) => {
      const from = sequential ? t0 + c * span : t0;
      return area(from, Math.min(from + span, t1), left + c * span * speed, TOP, tall * pitch);
    });
    const traces = columns.flatMap((names, c) => names.map((name, r) => place(name, r, areas[c]!)));
    const strip = area(t0, t1, left, TOP + tall * pitch, pitch);
    const rhythmTrace = rhythm ? [place("II", tall, strip)] : [];
    if (sequential) {
      // One time axis for everything: bands run unbroken through all columns and the rhythm strip.
      const all = area(t0, t1, left, TOP, rows * pitch);
      blocks.push({ areas: [all], traces: [...traces, ...rhythmTrace] });
    } else {
      blocks.push({ areas, traces }, ...(rhythm ? [{ areas: [strip], traces: rhythmTrace }] : []));
    }
    const seen = `${Number(Math.min(span, t1 - t0).toFixed(2))} s`;
    arrangement.push(
      `${TITLES[kind]}, ${sequential ? `sequential columns of ${seen}` : `simultaneous columns, first ${seen}`}`,
    );
    if (recording.leads.length > 12) {
      arrangement.push(`${recording.leads.length - 12} more leads in the layout of rows`);
    }
  }
  if (t1 - t0 < whole - 1e-6) {
    arrangement.push(
      whole > CELLS
        ? `${clock(t0 - origin, true)} to ${clock(t1 - origin, true)} of ${timeText(whole)}`
        : `${(t0 - origin).toFixed(1)} to ${(t1 - origin).toFixed(1)} s of ${whole.toFixed(1)} s`,
    );
  }

  const gridHeight = TOP + rows * pitch + (columns ? 0 : LARGE);
  const clusterStrip = area(t0, t1, left, gridHeight + 1.5, 4);
  const entropyStrip = area(t0, t1, left, clusterStrip.y + 5, 12);
  const density = sight.seconds > CELLS;
  const traces = blocks.flatMap((block) => block.traces);
  return {
    width: left + inner + RIGHT,
    widest: left + inner + RIGHT + 3 * LARGE,
    key: [kind, t0, t1, speed, gain, ...inRows].join(),
    height: entropyStrip.y + entropyStrip.height + 5.5,
    gridHeight,
    blocks,
    labels: [
      ...traces.map(
        (trace): Label => ({
          text: trace.name,
          x: trace.area.x + 1.2,
          y: trace.baseline - baselineIn(pitch) + 4,
          align: "left",
          role: "lead",
        }),
      ),
      ...stripLabels(entropyStrip, density),
    ],
    separators: blocks.flatMap((block) =>
      block.traces.filter((t) => t.area.x > left).map((t) => ({ x: t.area.x, y: t.baseline })),
    ),
    pulses: [...new Set(traces.map((trace) => trace.baseline))],
    clusterStrip,
    entropyStrip,
    density,
    slow,
    seconds: times(entropyStrip, origin, whole),
    speed,
    gain,
    pitch,
    arrangement,
    shift: Math.max(0, ...traces.map((trace) => Math.abs(trace.offset))),
    window: [t0, t1],
    origin,
  };
}

/** The trace and the time under a point of the paper, mm; null off the recording. */
export function traceAt(layout: Layout, x: number, y: number): { trace: Trace | null; time: number } | null {
  const strips = [layout.clusterStrip, layout.entropyStrip];
  for (const strip of strips) {
    if (y >= strip.y - 1 && y <= strip.y + strip.height + 1) {
      const time = strip.t0 + (x - strip.x) / strip.speed;
      return time >= strip.t0 && time <= strip.t1 ? { trace: null, time } : null;
    }
  }
  let best: { trace: Trace; time: number } | null = null;
  for (const { traces } of layout.blocks) {
    for (const trace of traces) {
      const time = trace.area.t0 + (x - trace.area.x) / trace.area.speed;
      const nearer = best === null || Math.abs(trace.baseline - y) < Math.abs(best.trace.baseline - y);
      if (time >= trace.area.t0 && time <= trace.area.t1 && nearer) {
        best = { trace, time };
      }
    }
  }
  return y <= layout.gridHeight ? best : null;
}

/** mm of paper per unit of time and amplitude, for tests and painters alike */
export const toX = (area: Area, time: number): number => area.x + (time - area.t0) * area.speed;
export const toY = (trace: Trace, value: number): number =>
  trace.baseline - trace.sign * (value - trace.offset) * trace.gain;

function baselineIn(pitch: number): number {
  return Math.round((0.6 * pitch) / LARGE) * LARGE;
}

function stripLabels(strip: Area, density: boolean): Label[] {
  const x = strip.x - 1;
  const upright = (text: string, y: number): Label => ({
    text,
    x: 4.6,
    y,
    align: "center",
    role: "axis",
    upright: true,
  });
  if (density) {
    return [upright("clusters", strip.y + strip.height / 2 - 2.5)];
  }
  return [
    { text: "1", x, y: strip.y + 1.6, align: "right", role: "axis" },
    upright("entropy", strip.y + strip.height / 2),
    { text: "0", x, y: strip.y + strip.height, align: "right", role: "axis" },
  ];
}

/** Full seconds, or whatever round times are far enough from each other to be read. */
function times(strip: Area, origin: number, whole: number): { x: number; text: string }[] {
  const out: { x: number; text: string }[] = [];
  const long = whole > CELLS;
  const step = long ? axisStep(strip.speed, strip.speed === SPEED ? 20 : 22) : 1;
  for (let s = Math.ceil((strip.t0 - origin) / step - 1e-6); s * step <= strip.t1 - origin + 1e-6; s++) {
    const text = long ? clock(s * step, step < 60) : s === 0 ? "0 s" : String(s);
    out.push({ x: toX(strip, s * step + origin), text });
  }
  return out;
}
