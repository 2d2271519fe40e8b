import { describe, expect, it } from "vitest";
import { rank, readSegmentation, type Segmentation } from "../src/segmentation.ts";
import {
  cellAt,
  cellBorders,
  changedStretches,
  findRuns,
  isUncertain,
  lookOf,
  MASKED,
  percentUncertain,
  predictionText,
  Runs,
  statusText,
  UNCERTAIN,
} from "../src/segments.ts";
import { noise, result } from "./synthetic.ts";

function random(seed: number, n: number): Segmentation {
  const next = noise(seed);
  const base = readSegmentation(result({ seconds: n * 0.04 }));
  const cluster = Int16Array.from({ length: n }, () => Math.floor(3 * (next() + 0.5)) - (next() > 0.35 ? 1 : 0));
  const valid = Uint8Array.from(cluster, (k) => (k >= 0 ? 1 : 0));
  const entropy = Float32Array.from(cluster, (k) => (k < 0 ? Number.NaN : next() + 0.5));
  return { ...base, cluster, valid, entropy, ...rank(cluster, entropy, valid) };
}

const runsOf = (segmentation: Segmentation, threshold: number, from = 0, to = segmentation.centre.length): Runs => {
  const runs = new Runs();
  findRuns(segmentation, threshold, from, to, runs);
  return runs;
};

describe("runs", () => {
  it("say of every cell what the cell says of itself, and are as long as can be", () => {
    for (let seed = 0; seed < 60; seed++) {
      const n = 1 + (seed % 40);
      const segmentation = random(seed, n);
      const threshold = (seed % 11) / 10;
      const from = seed % 3;
      const runs = runsOf(segmentation, threshold, from, n);
      const told: number[] = [];
      for (let r = 0; r < runs.length; r++) {
        expect(runs.first[r]).toBe(from + told.length);
        if (r > 0) {
          expect(runs.look[r]).not.toBe(runs.look[r - 1]);
        }
        for (let i = runs.first[r]!; i <= runs.last[r]!; i++) {
          told.push(runs.look[r]!);
        }
      }
      const looks = Array.from({ length: n }, (_, i) => lookOf(segmentation, i, threshold));
      expect(told).toEqual(looks.slice(from));
    }
  });

  it("of no cells are none", () => {
    const none = { ...random(1, 1), centre: new Float64Array(0), cluster: new Int16Array(0), ...rank([], [], []) };
    expect(runsOf(none, 0.5).length).toBe(0);
    expect(percentUncertain(none, 0.5)).toBe(0);
  });

  it("are kept in arrays that grow as far as is needed", () => {
    const runs = new Runs();
    for (let i = 0; i < 1000; i++) {
      runs.push(i % 7, i, i);
    }
    expect([runs.length, runs.look[999], runs.first[999], runs.last[65]]).toEqual([1000, 999 % 7, 999, 65]);
  });
});

describe("what changed between two thresholds", () => {
  it("is every cell that looks otherwise or whose run ends elsewhere, and no cell of a run that stays", () => {
    let changed = 0;
    for (let seed = 0; seed < 80; seed++) {
      const n = 5 + (seed % 60);
      const segmentation = random(seed, n);
      const before = runsOf(segmentation, (seed % 10) / 10);
      const after = runsOf(segmentation, ((seed * 7) % 11) / 10);
      const out: number[] = [99, 99];
      const stretches = changedStretches(before, after, out);
      const inside = (cell: number) =>
        Array.from({ length: stretches }, (_, s) => out[2 * s]! <= cell && cell <= out[2 * s + 1]!).some(Boolean);
      const runOf = (runs: Runs, cell: number) => {
        const r = Array.from({ length: runs.length }, (_, i) => i).find((i) => cell <= runs.last[i]!)!;
        return [runs.look[r], runs.first[r], runs.last[r]];
      };
      for (let cell = 0; cell < n; cell++) {
        const same = runOf(before, cell).join() === runOf(after, cell).join();
        expect(inside(cell)).toBe(!same);
        changed += same ? 0 : 1;
      }
      for (let s = 1; s < stretches; s++) {
        expect(out[2 * s]).toBeGreaterThan(out[2 * s - 1]! + 1);
      }
    }
    expect(changed).toBeGreaterThan(100);
  });

  it("is nothing where nothing does", () => {
    const segmentation = random(3, 30);
    expect(changedStretches(runsOf(segmentation, 0.4), runsOf(segmentation, 0.4), [])).toBe(0);
  });
});

describe("borders", () => {
  it("are midpoints, and the outer cells reach to the ends of the recording", () => {
    expect(Array.from(cellBorders(Float64Array.of(0.25, 0.5, 1), 0, 1.25))).toEqual([0, 0.375, 0.75, 1.25]);
    expect(Array.from(cellBorders(Float64Array.of(0.4), 0, 1))).toEqual([0, 1]);
  });

  it("do not claim what the network has not seen", () => {
    const borders = cellBorders(Float64Array.of(2.1, 2.3, 2.5), 0, 10);
    expect(borders[0]).toBeCloseTo(2.0);
    expect(borders[3]).toBeCloseTo(2.6);
  });

  it("find the cell under a time", () => {
    const borders = Float64Array.of(0, 0.2, 0.45, 0.8);
    expect([-0.1, 0, 0.19, 0.2, 0.44, 0.8, 0.9].map((t) => cellAt(borders, t))).toEqual([-1, 0, 0, 1, 1, 2, -1]);
    expect(cellAt(new Float64Array(1), 0)).toBe(-1);
  });
});

describe("uncertainty", () => {
  it("compares in float32 as NumPy does: the threshold itself is certain", () => {
    expect(Math.fround(0.3)).toBeGreaterThan(0.3);
    expect(isUncertain(Math.fround(0.3), 0.3)).toBe(false);
    expect(isUncertain(Number.NaN, 0)).toBe(false);
  });

  it("is a share of the unmasked cells", () => {
    const base = random(3, 4);
    const cluster = Int16Array.of(0, 1, -1, 0);
    const valid = Uint8Array.of(1, 1, 0, 1);
    const entropy = Float32Array.of(0.9, 0.1, Number.NaN, 0.2);
    const segmentation = { ...base, cluster, valid, entropy, ...rank(cluster, entropy, valid) };
    expect(percentUncertain(segmentation, 0.5)).toBeCloseTo(100 / 3);
    expect(percentUncertain(segmentation, 1)).toBe(0);
  });

  it("is what counting the cells gives, at every threshold", () => {
    for (let seed = 0; seed < 20; seed++) {
      const segmentation = random(seed, 50);
      for (let threshold = 0; threshold <= 1; threshold += 0.05) {
        const looks = Array.from(segmentation.cluster, (_, i) => lookOf(segmentation, i, threshold));
        const known = looks.filter((look) => look !== MASKED).length;
        const share = (100 * looks.filter((look) => look === UNCERTAIN).length) / known;
        expect(percentUncertain(segmentation, threshold)).toBeCloseTo(share);
      }
    }
  });
});

describe("status", () => {
  const segmentation = readSegmentation(result());

  it("says clusters, uncertainty, prediction, layers and device", () => {
    const share = Math.floor(percentUncertain(segmentation, 0.5) + 0.5);
    const probability = segmentation.prediction[0]!.toFixed(2);
    expect(statusText(segmentation, 0.5, "NORM")).toBe(
      `8 clusters, ${share} % uncertain, NORM ${probability}, blocks.1 + blocks.2 + blocks.3, cpu`,
    );
  });

  it("gives a value with its unit and skips an unknown target", () => {
    const age = { ...segmentation, output: "value", targets: ["age"], prediction: Float32Array.of(61.238) };
    expect(predictionText({ ...age, predictionUnits: "years" }, "age")).toBe("age 61.24 years");
    expect(predictionText(age, "sex")).toBe("");
    expect(predictionText({ ...age, prediction: Float32Array.of(Number.NaN) }, "age")).toBe("age no value");
  });

  it("names a record without data", () => {
    const cluster = segmentation.cluster.map(() => -1);
    const empty = { ...segmentation, cluster, ...rank(cluster, segmentation.entropy, segmentation.valid) };
    expect(statusText(empty, 0.5, "NORM")).toContain("no data: every cell is masked");
  });
});
