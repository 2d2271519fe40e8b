import { describe, expect, it } from "vitest";
import { BEFORE, meanBeats } from "../src/panels/beats.ts";
import {
  choiceKey,
  choiceLabel,
  chosenCells,
  inside,
  readChoice,
  selectedCells,
  selectionText,
  stretches,
  transitions,
} from "../src/panels/intervals.ts";
import { merged, mergedInto, quoted, titleOf } from "../src/panels/names.ts";
import { agreement } from "../src/pinned.ts";
import { readRecording } from "../src/recording.ts";
import { readSegmentation } from "../src/segmentation.ts";
import { cellAt, cellBorders } from "../src/segments.ts";
import { result, waveform } from "./synthetic.ts";

const recording = readRecording(waveform());
const whole = readSegmentation(result({ waves: true }));
const borders = cellBorders(whole.centre, recording.start, recording.end);
const few = { ...whole, cluster: Int16Array.of(0, 0, 1, -1, 1, 0, 1), slot: Uint8Array.of(4, 0) };

describe("what a button selects", () => {
  it.each([
    [{ cluster: 3 }, "3"],
    [{ cluster: 3, wave: 2 }, "3.2"],
    [{ cluster: 3, wave: -1 }, "3.-1"],
    [{ from: 1, to: 12 }, "1>12"],
  ])("%j travels as %s", (choice, key) => {
    expect(choiceKey(choice)).toBe(key);
    expect(readChoice(key)).toEqual(choice);
  });

  it.each(["", "A", "1>", "<script>"])("%j selects nothing", (key) => expect(readChoice(key)).toBeNull());

  it("is a cluster's cells, or those on both sides of a transition", () => {
    expect([...chosenCells(few, { cluster: 1 })]).toEqual([0, 0, 1, 0, 1, 0, 1]);
    expect([...chosenCells(few, { from: 0, to: 1 })]).toEqual([0, 1, 1, 0, 0, 1, 1]);
    expect(choiceLabel(few, { from: 0, to: 1 })).toBe("E to A");
  });

  it("is the cells of a cluster in a wave", () => {
    const cells = chosenCells(whole, { cluster: 2, wave: 2 });
    const truth = Array.from(whole.cluster, (k, i) => (k === 2 && whole.wave![i] === 2 ? 1 : 0));
    expect(truth).toContain(1);
    expect([...cells]).toEqual(truth);
  });
});

describe("stretches of time", () => {
  it("come back as the same cells", () => {
    const cells = chosenCells(whole, { cluster: 2 });
    const intervals = stretches(cells, borders);
    expect(intervals.length).toBeGreaterThan(5);
    const back = selectedCells(whole, { record: whole.record, intervals, label: "" });
    expect([...back!]).toEqual([...cells]);
  });

  it("belong to a record", () => {
    expect(selectedCells(whole, { record: "other", intervals: [[0, 1]], label: "" })).toBeNull();
    expect(selectedCells(whole, {})).toBeNull();
  });

  it("are said in words", () =>
    expect(
      selectionText({
        label: "x",
        intervals: [
          [0, 0.5],
          [1, 1.25],
        ],
      }),
    ).toBe("x, 2 stretches, 0.75 s"));
});

it("counts transitions between unmasked neighbours", () => expect([...transitions(few)]).toEqual([0, 2, 1, 0]));

it("finds the points inside a lasso", () => {
  const lasso = [0, 0, 4, 0, 4, 4, 2, 1, 0, 4]; // a notch from below up to (2, 1)
  expect([...inside([1, 1, 2, 3, 3.5, 2, 5, 1, Number.NaN, 1], lasso)]).toEqual([1, 0, 1, 0, 0]);
});

describe("the mean beat", () => {
  it("is the mean over beats, sample by sample, and of a cluster over its samples", () => {
    const found = meanBeats(recording, whole, borders, 1);
    const before = Math.round(BEFORE * recording.samplingRate);
    const first = Array.from(recording.rPeaks, (r) => Math.round(r * 500) - before);
    const inner = first.filter((at) => at >= 0 && at + found.all.length <= recording.signal[1]!.length);
    expect(found.beats).toBe(inner.length);
    const at = before + 7;
    const values = inner.map((f) => ({
      x: recording.signal[1]![f + at]!,
      k: whole.cluster[cellAt(borders, (f + at) / 500)]!,
    }));
    expect(found.all[at]).toBeCloseTo(values.reduce((s, v) => s + v.x, 0) / values.length, 10);
    const k = values[0]!.k;
    const mine = values.filter((v) => v.k === k);
    expect(found.mean[k]![at]).toBeCloseTo(mine.reduce((s, v) => s + v.x, 0) / mine.length, 10);
    expect(found.share[k]![at]).toBeCloseTo(mine.length / values.length, 10);
  });
});

describe("names", () => {
  it("go by letter and are isolated in a sentence", () => {
    expect(titleOf(few, 0, { E: { name: "P\u202e<b>" } })).toBe("E (\u2068P<b>\u2069)");
    expect(titleOf(few, 1, { E: { name: "P" } })).toBe("A");
    expect(quoted("x".repeat(10_000)).length).toBeLessThan(70);
  });

  it("merge clusters: shares and contributions add up, sums stay", () => {
    const names = { A: { merged: "C" }, C: { merged: "D" }, T: { merged: "A" }, B: { merged: "S" } };
    expect(mergedInto(whole.slot, names).slice(0, 4)).toEqual([3, 1, 3, 3]);
    const one = merged(whole, names);
    expect([...one.slot]).toEqual([1, 3, 4, 5, 6, 7]);
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    expect(sum(one.proportion)).toBeCloseTo(sum(whole.proportion), 5);
    expect(one.proportion[1]).toBeCloseTo(whole.proportion[0]! + whole.proportion[2]! + whole.proportion[3]!, 6);
    expect(sum(one.contribution!.values)).toBeCloseTo(sum(whole.contribution!.values), 4);
    expect(Array.from(one.cluster, (k) => (k < 0 ? -1 : one.slot[k]))).toEqual(
      Array.from(whole.cluster, (k) => (k < 0 ? -1 : [3, 1, 3, 3, 4, 5, 6, 7][k])),
    );
    expect(merged(whole, { A: { name: "P" } })).toBe(whole);
  });

  it("of a ring merge nothing", () =>
    expect(mergedInto(Uint8Array.of(0, 1), { A: { merged: "B" }, B: { merged: "A" } })).toEqual([0, 1]));
});

it("compares by colour, not by number", () => {
  const other = { ...whole, slot: Uint8Array.from(whole.slot, (_, k) => [1, 0, 2, 3, 4, 5, 6, 7][k]!) };
  const same = Array.from(whole.cluster).filter((k) => k > 1).length / whole.cluster.length;
  expect(agreement(whole, { segmentation: whole, borders })).toBe(1);
  expect(agreement(whole, { segmentation: other, borders })).toBeCloseTo(same, 10);
});
