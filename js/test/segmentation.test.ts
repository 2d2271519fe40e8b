import { describe, expect, it } from "vitest";
import { readRecording, sampleAt } from "../src/recording.ts";
import { letter, meanEntropy, readSegmentation } from "../src/segmentation.ts";
import { result, waveform } from "./synthetic.ts";

describe("a result", () => {
  it("may leave out contributions, margin and map, and carry cluster as a coordinate", () => {
    const encoded = result();
    for (const name of Object.keys(encoded.data_vars)) {
      if (/^contribution|intercept|logit|margin|map/.test(name)) {
        delete encoded.data_vars[name];
      }
    }
    encoded.coords.cluster = encoded.data_vars.cluster!;
    delete encoded.data_vars.cluster;
    const segmentation = readSegmentation(encoded);
    expect(segmentation.contribution).toBeNull();
    expect(segmentation.map).toBeNull();
    expect(segmentation.cluster).toHaveLength(250);
  });

  it("whose arrays do not fit each other is refused by name", () => {
    const encoded = result();
    encoded.data_vars.entropy = { ...encoded.data_vars.entropy!, shape: [2], data: new Float32Array(2).buffer };
    expect(() => readSegmentation(encoded)).toThrow("entropy: expected 250 values, got 2");
  });

  it("names clusters by slot and averages the entropy of each", () => {
    const segmentation = {
      ...readSegmentation(result()),
      slot: Uint8Array.of(19, 0, 2),
      cluster: Int16Array.of(0, 0, -1, 1),
      entropy: Float32Array.of(0.5, 0.25, Number.NaN, 1),
    };
    expect([0, 1, 2].map((k) => letter(segmentation, k)).join("")).toBe("TAC");
    expect(Array.from(meanEntropy(segmentation))).toEqual([0.375, 1, Number.NaN]);
  });
});

describe("a waveform", () => {
  it("is split by lead, with gaps as NaN", () => {
    const recording = readRecording(waveform({ seconds: 2, rate: 100, gap: [1, 1.5] }));
    expect(recording.signal).toHaveLength(12);
    expect(recording.end).toBeCloseTo(2);
    expect(recording.signal[3]!.slice(100, 150).every(Number.isNaN)).toBe(true);
    const [i, ii, iii] = [0, 1, 2].map((lead) => recording.signal[lead]![31]!);
    expect(ii! - i!).toBeCloseTo(iii!, 1);
    expect([-0.1, 0, 1.99, 2.1].map((time) => sampleAt(recording, time))).toEqual([-1, 0, 199, -1]);
  });

  it("without a rate is refused", () => {
    const encoded = waveform();
    delete encoded.attrs.sampling_rate;
    expect(() => readRecording(encoded)).toThrow("sampling_rate: expected a positive number of Hz");
  });
});
