import { describe, expect, it } from "vitest";
import { readRecording } from "../src/recording.ts";
import { waveform } from "./synthetic.ts";

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
