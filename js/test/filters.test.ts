import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DisplayFilter, design, type Filter, filtered, type Notch, zeroPhase } from "../src/filters.ts";
import { readRecording } from "../src/recording.ts";
import { waveform } from "./synthetic.ts";

interface Case {
  band: [number, number] | null;
  notch: number;
  rate: number;
  x: number[];
  y: number[];
}
const FIXTURE = new URL("../../tests/fixtures/filters/sosfiltfilt.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(FIXTURE, "utf8"));

describe("display filters", () => {
  it.each(cases)("are SciPy's sosfiltfilt: $band Hz, notch $notch Hz, at $rate Hz", ({ band, notch, rate, x, y }) => {
    const plan = design((band ? band.join("-") : "") as Filter, (notch ? String(notch) : "") as Notch, rate);
    const out = zeroPhase(plan.sections, x, plan.pad);
    const worst = Math.max(...y.map((value, i) => Math.abs(value - out[10 * i]!)));
    expect(worst).toBeLessThan(1e-8);
  });

  it("leave gaps as they are and filter each side on its own", () => {
    const plan = design("0.5-40", "", 500);
    const signal = Float32Array.from({ length: 3000 }, (_, i) => Math.sin(i / 40) + (i > 1600 ? 50 : 0));
    signal.fill(Number.NaN, 1500, 1600);
    const out = filtered(signal, plan);
    expect(Number.isNaN(out[1499]) || Number.isNaN(out[1600])).toBe(false);
    expect(out.slice(1500, 1600).every(Number.isNaN)).toBe(true);
    expect(out.slice(0, 1500)).toEqual(filtered(signal.slice(0, 1500), plan));
  });

  it("say what a sampling rate does not allow", () => {
    expect(design("0.05-150", "50", 100).text).toBe(
      "above 0.05 Hz (150 Hz is out of reach at 100 Hz sampling), no notch: 50 Hz is out of reach at 100 Hz sampling",
    );
    expect(design("0.5-40", "60", 500).text).toBe("0.5\u201340 Hz, notch 60 Hz");
    expect(design("", "", 500)).toMatchObject({ sections: [], text: "" });
  });

  it("show another recording and leave the one that came alone", () => {
    const recording = readRecording(waveform({ rate: 500 }));
    const before = recording.signal.map((lead) => lead.slice());
    const display = new DisplayFilter();
    expect(display.show(recording, "", "")).toBe(recording);
    expect(display.text).toBe("");
    const shown = display.show(recording, "0.5-40", "50");
    expect(shown.signal[1]).not.toEqual(recording.signal[1]);
    expect(recording.signal).toEqual(before);
    expect(display.text).toContain("the network saw the signal without it");
    expect(display.show(recording, "0.5-40", "50")).toBe(shown);
    const few = display.show({ ...recording, decimation: 4 }, "0.5-40", "");
    expect(few.signal).toBe(recording.signal);
    expect(display.text).toContain("off");
  });
});
