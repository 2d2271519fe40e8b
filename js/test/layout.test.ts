import { describe, expect, it } from "vitest";
import { type Arrangement, GAINS, SPEEDS, STANDARD } from "../src/arrangements.ts";
import {
  arrange as arrangeSettings,
  type Layout,
  lastStart,
  PULSE_X,
  sightOf,
  type Trace,
  toX,
  toY,
  traceAt,
} from "../src/layout.ts";
import { LARGE } from "../src/paper.ts";
import { type Recording, readRecording } from "../src/recording.ts";
import { type Options, waveform } from "./synthetic.ts";

const record = (options: Options = {}): Recording => readRecording(waveform({ rate: 100, ...options }));
const arrange = (recording: Recording, arrangement: Arrangement, sight = sightOf(recording)): Layout =>
  arrangeSettings(recording, { ...STANDARD, arrangement }, sight);
const ARRANGEMENTS: Arrangement[] = ["3x4", "3x4-simultaneous", "6x2", "cabrera", "rows", "leads"];
const traces = (layout: Layout): Trace[] => layout.blocks.flatMap((block) => [...block.traces]);

describe("paper", () => {
  it("is 25 mm for a second and 10 mm for a millivolt in every arrangement", () => {
    for (const arrangement of ARRANGEMENTS) {
      for (const trace of traces(arrange(record(), arrangement))) {
        const { area } = trace;
        expect(toX(area, area.t0 + 1) - toX(area, area.t0)).toBeCloseTo(25);
        expect(toY(trace, 0) - toY(trace, 1)).toBeCloseTo(trace.sign * 10);
        expect(trace.baseline % LARGE).toBe(0);
      }
    }
  });

  it("holds every trace, label and strip", () => {
    for (const arrangement of ARRANGEMENTS) {
      const layout = arrange(record(), arrangement);
      for (const { area, baseline } of traces(layout)) {
        expect(toX(area, area.t1)).toBeLessThanOrEqual(layout.width);
        expect(baseline).toBeLessThan(layout.gridHeight);
      }
      const { entropyStrip } = layout;
      expect(entropyStrip.y + entropyStrip.height).toBeLessThan(layout.height);
      for (const { x, y } of layout.labels) {
        expect(x).toBeLessThan(layout.width);
        expect(y).toBeLessThan(layout.height);
      }
    }
  });
});

describe("3 x 4", () => {
  const recording = record();
  const layout = arrange(recording, "3x4");

  it("shows columns of 2.5 s one after the other and lead II below over the whole record", () => {
    const all = traces(layout);
    expect(all).toHaveLength(13);
    const names = all.map((trace) => recording.leads[trace.lead]);
    expect(names.slice(3, 6)).toEqual(["aVR", "aVL", "aVF"]);
    expect(names[12]).toBe("II");
    expect([all[0], all[3], all[6], all[9]].map((trace) => [trace!.area.t0, trace!.area.t1])).toEqual([
      [0, 2.5],
      [2.5, 5],
      [5, 7.5],
      [7.5, 10],
    ]);
    expect([all[12]!.area.t0, all[12]!.area.t1]).toEqual([0, 10]);
    expect(layout.arrangement[0]).toContain("sequential");
  });

  it("has one time axis: a moment is at the same x in column, rhythm strip and entropy strip", () => {
    for (const { area } of traces(layout)) {
      expect(toX(area, area.t0)).toBeCloseTo(toX(layout.entropyStrip, area.t0));
    }
  });

  it("separates columns, and every row starts with a calibration pulse", () => {
    expect(layout.separators.map(({ x }) => x)).toEqual([72.5, 72.5, 72.5, 135, 135, 135, 197.5, 197.5, 197.5]);
    expect(layout.pulses).toEqual([20, 45, 70, 95]);
  });

  it("finds lead and time under the pointer", () => {
    const v2 = traces(layout).find((trace) => recording.leads[trace.lead] === "V2")!;
    const at = traceAt(layout, toX(v2.area, 6), v2.baseline - 3)!;
    expect(recording.leads[at.trace!.lead]).toBe("V2");
    expect(at.time).toBeCloseTo(6);
    expect(traceAt(layout, toX(layout.entropyStrip, 9), layout.entropyStrip.y + 4)).toEqual({ trace: null, time: 9 });
    expect(traceAt(layout, 2, 20)).toBeNull();
  });
});

describe("other recordings", () => {
  it("too short for sequential columns show the same second in each, and say so", () => {
    const layout = arrange(record({ seconds: 1 }), "3x4");
    expect(layout.blocks).toHaveLength(2);
    for (const { area } of traces(layout)) {
      expect([area.t0, area.t1]).toEqual([0, 1]);
    }
    expect(layout.arrangement[0]).toContain("simultaneous columns, first 1 s");
  });

  it("a sample short of 10 s stay sequential", () => {
    const layout = arrange(record({ seconds: 9.99 }), "3x4");
    expect(layout.arrangement[0]).toContain("sequential");
    expect(traces(layout)[9]!.area.t1).toBeCloseTo(9.99);
  });

  it("longer than 10 s show a window, and say which", () => {
    const recording = record({ seconds: 30 });
    expect(lastStart(recording)).toBeCloseTo(20);
    expect(arrange(recording, "3x4").arrangement).toContain("0.0 to 10.0 s of 30.0 s");
    const late = arrange(recording, "rows", sightOf(recording, 99));
    expect(late.window).toEqual([20, 30]);
    expect(late.seconds[0]).toEqual({ x: 10, text: "20" });
  });

  it("with other leads have a row for each", () => {
    const layout = arrange(record({ leads: ["II", "V1", "Vx"] }), "3x4");
    expect(traces(layout).map(({ lead }) => lead)).toEqual([0, 1, 2]);
    expect(layout.arrangement[0]).toBe("3 leads, simultaneous");
    expect(arrange(record({ leads: ["II"] }), "rows").arrangement[0]).toBe("1 lead, simultaneous");
  });

  it("far from zero are drawn around their median, and say so", () => {
    const layout = arrange(record({ offset: 2 }), "3x4");
    expect(layout.shift).toBeGreaterThan(1.5);
    expect(arrange(record(), "3x4").shift).toBe(0);
    const [trace] = traces(layout);
    expect(toY(trace!, trace!.offset)).toBe(trace!.baseline);
  });
});

describe("the paper's choices", () => {
  const settled = (settings: object) => arrangeSettings(record(), { ...STANDARD, ...settings });

  it("are speeds and gains, with the same millimetres on both axes and pulses on heavy lines", () => {
    for (const speed of SPEEDS) {
      for (const gain of GAINS) {
        const layout = settled({ speed, gain });
        for (const trace of traces(layout)) {
          expect(toX(trace.area, trace.area.t0 + 1) - toX(trace.area, trace.area.t0)).toBeCloseTo(speed);
          expect(toY(trace, 0) - toY(trace, 1)).toBeCloseTo(gain);
          expect(trace.baseline % LARGE).toBe(0);
          expect(trace.area.x).toBeGreaterThan(PULSE_X + 2 + 0.2 * speed - 1e-9);
        }
        expect(layout.key).not.toBe(settled({ speed, gain: gain + 1 }).key);
      }
    }
  });

  it("are simultaneous columns: every lead shows the same beats", () => {
    const layout = settled({ arrangement: "3x4-simultaneous" });
    expect(
      traces(layout)
        .slice(0, 12)
        .map(({ area }) => [area.t0, area.t1]),
    ).toEqual(Array(12).fill([0, 2.5]));
    expect(traces(layout)[12]!.area.t1).toBe(10);
    expect(layout.arrangement[0]).toContain("simultaneous columns, first 2.5 s");
  });

  it("are Cabrera's order, with aVR upside down and its reading as recorded", () => {
    const layout = settled({ arrangement: "cabrera" });
    expect(
      traces(layout)
        .slice(0, 6)
        .map(({ name }) => name),
    ).toEqual(["aVL", "I", "\u2212aVR", "II", "aVF", "III"]);
    const third = traces(layout)[2]!;
    expect([record().leads[third.lead], third.sign]).toEqual(["aVR", -1]);
    expect(toY(third, -1)).toBeCloseTo(third.baseline - 10);
  });

  it("are any leads, and all where none of them is here", () => {
    const names = (leads: string[]) => traces(settled({ arrangement: "leads", leads })).map(({ name }) => name);
    expect(names(["V5"])).toEqual(["V5"]);
    expect(names(["V1", "II", "Vx"])).toEqual(["V1", "II"]);
    expect(names(["Vx"])).toHaveLength(12);
    expect(settled({ arrangement: "leads", leads: ["V5"] }).arrangement[0]).toBe("1 of 12 leads, simultaneous");
  });
});
