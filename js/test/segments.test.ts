import { describe, expect, it } from "vitest";
import { readSegmentation, type Segmentation } from "../src/segmentation.ts";
import {
  cellAt,
  cellBorders,
  findRuns,
  isUncertain,
  kindOf,
  percentUncertain,
  predictionText,
  statusText,
} from "../src/segments.ts";
import { noise, result } from "./synthetic.ts";

function random(seed: number, n: number): Segmentation {
  const next = noise(seed);
  const base = readSegmentation(result({ seconds: n * 0.04 }));
  const cluster = Int16Array.from({ length: n }, () => Math.floor(3 * (next() + 0.5)) - (next() > 0.35 ? 1 : 0));
  return {
    ...base,
    cluster,
    valid: Uint8Array.from(cluster, (k) => (k >= 0 ? 1 : 0)),
    entropy: Float32Array.from(cluster, (k) => (k < 0 ? Number.NaN : next() + 0.5)),
  };
}

describe("runs", () => {
  it("say of every cell what the cell says of itself, and are as long as can be", () => {
    for (let seed = 0; seed < 60; seed++) {
      const n = 1 + (seed % 40);
      const segmentation = random(seed, n);
      const borders = cellBorders(segmentation.centre, 0, n * 0.04);
      const threshold = (seed % 11) / 10;
      const runs = findRuns(segmentation, borders, threshold);
      const look = (i: number) => {
        const kind = kindOf(segmentation, i, threshold);
        return `${kind}${kind === "cluster" ? segmentation.cluster[i] : ""}`;
      };
      const told: string[] = [];
      runs.forEach((run, r) => {
        expect([run.start, run.end]).toEqual([borders[run.first], borders[run.last + 1]]);
        for (let i = run.first; i <= run.last; i++) {
          told.push(`${run.kind}${run.kind === "cluster" ? run.cluster : ""}`);
        }
        if (r > 0) {
          expect(told[run.first]).not.toBe(told[run.first - 1]);
        }
      });
      expect(told).toEqual(Array.from({ length: n }, (_, i) => look(i)));
    }
  });

  it("of no cells are none", () => {
    const none = { ...random(1, 1), centre: new Float64Array(0), cluster: new Int16Array(0) };
    expect(findRuns(none, cellBorders(none.centre, 0, 1), 0.5)).toEqual([]);
    expect(percentUncertain(none, 0.5)).toBe(0);
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
    const segmentation = {
      ...base,
      cluster: Int16Array.of(0, 1, -1, 0),
      valid: Uint8Array.of(1, 1, 0, 1),
      entropy: Float32Array.of(0.9, 0.1, Number.NaN, 0.2),
    };
    expect(percentUncertain(segmentation, 0.5)).toBeCloseTo(100 / 3);
    expect(percentUncertain(segmentation, 1)).toBe(0);
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
    const empty = { ...segmentation, cluster: segmentation.cluster.map(() => -1) };
    expect(statusText(empty, 0.5, "NORM")).toContain("no data: every cell is masked");
  });
});
