import { describe, expect, it } from "vitest";
import { ranked, readRecording } from "../src/recording.ts";
import { noise, waveform } from "./synthetic.ts";

describe("findings", () => {
  it("are texts, whatever came; none where nothing was said", () => {
    const plain = waveform({ record: "1" });
    expect(readRecording(plain).findings).toEqual([]);
    const told = { ...plain, attrs: { ...plain.attrs, findings: ["V1: hum <b>", 7, null] } };
    expect(readRecording(told).findings).toEqual(["V1: hum <b>", "7", ""]);
    const odd = { ...plain, attrs: { ...plain.attrs, findings: "no list" } };
    expect(readRecording(odd).findings).toEqual([]);
  });
});

describe("the value at a rank", () => {
  it.each([1, 2, 3, 10, 101, 1000])("is that of the sorted list: %i values, many of them equal", (n) => {
    const random = noise(n);
    const values = Float32Array.from({ length: n + 3 }, () => Math.round(20 * random()) / 8);
    const sorted = values.slice(0, n).sort();
    for (const index of [0, n >> 2, n >> 1, n - 1]) {
      expect(ranked(values.slice(), n, index)).toBeCloseTo(sorted[index]!, 12);
    }
  });

  it("is a lead's median, gaps left out", () => {
    const { median, signal } = readRecording(waveform({ gap: [2, 3] }));
    const step = Math.floor(signal[0]!.length / 1000);
    signal.forEach((values, lead) => {
      const left = values.filter((value, i) => i % step === 0 && !Number.isNaN(value)).sort();
      expect(left.length).toBe(900);
      expect(median[lead]).toBe(left[450]);
    });
  });
});
