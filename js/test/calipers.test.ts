import { describe, expect, it } from "vitest";
import { STANDARD } from "../src/arrangements.ts";
import {
  bazett,
  type Caliper,
  caliperText,
  free,
  fridericia,
  measured,
  moved,
  obstacle,
  snap,
  valueText,
} from "../src/calipers.ts";
import { clippedStretches, flagsOf, flagsText } from "../src/flags.ts";
import { arrange } from "../src/layout.ts";
import { readRecording } from "../src/recording.ts";
import { LongRecording } from "./long.ts";
import { waveform } from "./synthetic.ts";

const recording = readRecording(waveform({ rate: 500, record: "1" }));
const at = (kind: Caliper["kind"], start: number, end: number, record = "1"): Caliper => ({
  ...{ kind, record, lead: "II", start, end },
});

describe("calipers", () => {
  it("stand on samples inside the recording", () => {
    expect(snap(recording, 1.2349)).toBe(1.234);
    expect(snap(recording, -3)).toBe(0);
    expect(snap(recording, 99)).toBe(9.998);
  });

  it("read times, rates and voltages off the samples", () => {
    const [time, rr, voltage] = measured([at("time", 1, 1.4), at("rr", 1, 1.8), at("voltage", 1, 1.31)], recording);
    expect(time).toMatchObject({ ms: 400 });
    expect(rr).toMatchObject({ ms: 800, bpm: 75 });
    const lead = recording.signal[1]!;
    expect(voltage!.mV).toBeCloseTo(lead[655]! - lead[500]!, 4);
    expect(valueText(rr!)).toBe("RR 800 ms, 75/min");
  });

  it("correct QT by the last R-R of the record, and say when there is none", () => {
    // QT 360 ms at 75/min: Bazett 402, Fridericia 388 ms, as every table of corrected QT has it.
    expect(1000 * bazett(0.36, 0.8)).toBeCloseTo(402.49, 2);
    expect(1000 * fridericia(0.36, 0.8)).toBeCloseTo(387.8, 1);
    const [qt] = measured([at("qt", 1, 1.36)], recording);
    expect(qt!.bazett_ms).toBeUndefined();
    expect(caliperText(qt!)).toContain("QTc needs an R-R caliper");
    const list = [at("rr", 1, 2), at("qt", 1, 1.36), at("rr", 1, 1.8), at("rr", 0, 3, "2")];
    expect(measured(list, recording)[1]).toMatchObject({ ms: 360, rr_ms: 800, bazett_ms: 402.49 });
    expect(caliperText(measured(list, recording)[1]!)).toContain("QTc 402 Bazett, 388 Fridericia (RR 800 ms)");
  });

  it("know no voltage in a gap, and never write what JSON lacks", () => {
    const gap = readRecording(waveform({ rate: 500, record: "1", gap: [0.9, 1.2] }));
    const [voltage] = measured([at("voltage", 1, 1.31)], gap);
    expect(valueText(voltage!)).toBe("no voltage here");
    expect(JSON.stringify(measured([at("rr", 1, 1), at("qt", 2, 2)], gap))).not.toContain("null");
  });
});

describe("calipers on extremes of columns", () => {
  const day = new LongRecording({ hours: 24, rate: 250 });
  const coarse = readRecording(day.waveform([0, 3600]));
  const column = 1000 / (coarse.samplingRate / 2); // two drawn values a column
  const place = (kind: Caliper["kind"], start: number, end: number) =>
    moved({ ...at(kind, snap(coarse, start), snap(coarse, end)), record: "holter" }, {}, coarse);

  it("stand on what is drawn, and say how wide that is", () => {
    expect(coarse.decimation).toBeGreaterThan(1);
    const [time] = measured([place("time", 100.03, 160.01)], coarse);
    expect((time!.start * coarse.samplingRate) % 1).toBeCloseTo(0, 3);
    expect(time!.column_ms).toBeCloseTo(column, 2);
    expect(Math.abs(time!.ms! - 59_980)).toBeLessThanOrEqual(column);
    expect(valueText(time!)).toBe(`${(time!.ms! / 1000).toFixed(1)} s \u00b1 ${Math.round(column)} ms`);
    expect(caliperText(time!)).toContain(`ends on extremes of columns of ${Math.round(column)} ms`);
  });

  it("measure a voltage between two extremes and keep it where other samples are drawn", () => {
    const [voltage] = measured([place("voltage", 100, 101.3)], coarse);
    const value = (time: number) => coarse.signal[1]![Math.round(time * coarse.samplingRate)]!;
    expect(voltage!.mV).toBeCloseTo(value(voltage!.end) - value(voltage!.start), 4);
    for (const other of [day.waveform([90, 120]), day.waveform([7200, 7260]), day.waveform([0, 43_200])]) {
      expect(measured([voltage!], readRecording(other))[0]).toEqual(voltage);
    }
  });

  it("leave alone what was measured on samples", () => {
    const fine = readRecording(day.waveform([90, 120]));
    const [exact] = measured([{ ...at("voltage", 100, 100.3), record: "holter" }], fine);
    expect(exact!.mV).toBeDefined();
    expect(exact!.column_ms).toBeUndefined();
    expect(measured([exact!], coarse)[0]).toEqual(exact);
    expect(measured([exact!], readRecording(day.waveform([7200, 7260])))[0]).toEqual(exact);
    // An end that is set anew has its own reading.
    const again = measured([moved(exact!, { end: snap(fine, 100.5) }, fine)], fine)[0]!;
    expect(again.mV).not.toBe(exact!.mV);
  });

  it("read no intervals of single beats there, and say why", () => {
    expect(obstacle("rr", coarse)).toContain("need every sample; here a column stands for");
    expect(obstacle("qt", coarse)).not.toBe("");
    expect([obstacle("time", coarse), obstacle("voltage", coarse), obstacle("march", coarse)]).toEqual(["", "", ""]);
    expect(obstacle("qt", recording)).toBe("");
  });

  it("stand at times of the clock after ten minutes", () => {
    expect(caliperText(at("time", 599, 3723.456))).toContain("lead II, 0:09:59.00 to 1:02:03.46: ");
    expect(caliperText(at("time", 1, 1.5))).toContain("lead II, 1.000 to 1.500 s: ");
  });

  it("write long times as a reader counts them", () => {
    const [long] = measured([at("time", 0, 1800)], recording);
    expect(valueText(long!)).toBe("30.0 min");
    expect(valueText(measured([at("march", 0, 90)], recording)[0]!)).toBe("90.0 s");
  });
});

describe("labels of calipers", () => {
  const label = (at: number, y: number) => ({ at, wide: 20, y });

  it("stay where they are alone, rise above those that they would cover, and stay on the paper", () => {
    expect(free(label(50, 40), [label(95, 40)], 12)).toEqual(label(50, 40));
    expect(free(label(50, 40), [label(60, 40)], 12)).toEqual(label(50, 28));
    expect(free(label(50, 40), [label(60, 40), label(40, 28)], 12)).toEqual(label(50, 16));
    expect(free(label(50, 14), [label(60, 14)], 12)).toEqual(label(50, 26));
    expect(free(label(50, 40.1), [label(60, 40.1)], 11.34).y).toBeCloseTo(28.76, 6);
  });

  it("never lie on each other, however many there are", () => {
    const placed: ReturnType<typeof free>[] = [];
    for (let i = 0; i < 12; i++) {
      placed.push(free(label(50 + i, 100), placed, 12));
    }
    const ys = placed.map(({ y }) => y).sort((a, b) => a - b);
    expect(Math.min(...ys.slice(1).map((y, i) => y - ys[i]!))).toBeGreaterThan(11.999);
  });
});

describe("flags", () => {
  it("find plateaus at a lead's limits, and neither peaks nor flat lines", () => {
    const wave = Float32Array.from({ length: 5000 }, (_, i) => 4 * Math.sin(i / 40));
    expect(clippedStretches(wave, 0, 500)).toEqual([]);
    const cut = wave.map((value) => Math.min(value, 2));
    const found = clippedStretches(cut, 0, 500);
    expect(found.length).toBe(20);
    for (const [first, last] of found) {
      expect(cut.slice(first, last + 1).every((value) => value === 2)).toBe(true);
      expect([cut[first - 1], cut[last + 1]].includes(2)).toBe(false);
    }
    expect(clippedStretches(new Float32Array(5000).fill(3), 3, 500)).toEqual([]);
  });

  it("say which leads the recorder clipped and which leave the paper", () => {
    const signal = recording.signal.map((lead, i) =>
      i === 2 ? lead.map((_, t) => (t > 100 && t < 200 ? 3.5 : 0)) : i === 0 ? lead.map((v) => 9 * v) : lead,
    );
    const wild = { ...recording, signal };
    const layout = arrange(wild, STANDARD);
    const text = flagsText(flagsOf(layout, wild, wild, new WeakMap()));
    expect(text).toContain("clipped by the recorder: III");
    expect(text).toContain("leaves the paper: I");
    expect(flagsText(flagsOf(arrange(recording, STANDARD), recording, recording, new WeakMap()))).toBe("");
  });
});
