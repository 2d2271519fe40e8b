// Two sides of a comparison: agreement, the model of the second side, what moves together, exported pages.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { adjustedMutual, adjustedRand, agreementOf, jaccard, variation } from "../src/agreement.ts";
import { agreementText } from "../src/comparison.ts";
import { type Embedded, EmbeddedModel, EmbeddedState } from "../src/host.ts";
import { otherAnswer } from "../src/otherside.ts";
import { readSegmentation, type Segmentation } from "../src/segmentation.ts";
import { cellBorders } from "../src/segments.ts";
import { State } from "../src/state.ts";
import type { Traits } from "../src/traits.ts";
import { MockModel } from "./model.ts";
import { result, waveform } from "./synthetic.ts";

let frames: (() => void)[] = [];
const frame = () => {
  for (const callback of frames.splice(0)) {
    callback();
  }
};

beforeEach(() => {
  frames = [];
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => frames.push(callback));
  vi.stubGlobal("cancelAnimationFrame", () => {
    frames = [];
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function side(cluster: number[], stride: number, slot: number[], valid = cluster.map((k) => (k < 0 ? 0 : 1))) {
  const raw = readSegmentation(result({ seconds: 1, record: "r" }));
  const centre = Float64Array.from(cluster, (_, i) => (i + 0.5) * stride);
  const segmentation: Segmentation = {
    ...raw,
    ...{ cluster: Int16Array.from(cluster), valid: Uint8Array.from(valid), centre },
    ...{ slot: Uint8Array.from(slot), nClusters: slot.length },
  };
  return { segmentation, borders: cellBorders(centre, 0, cluster.length * stride) };
}

describe("agreement", () => {
  it("has scikit-learn's numbers", () => {
    const small = Float64Array.from([5, 1, 0, 2, 7, 3]);
    expect(adjustedMutual(small, 3)).toBeCloseTo(0.21999451204781337, 10);
    expect(adjustedRand(small, 3)).toBeCloseTo(0.19169811320754718, 10);
    expect(variation(small, 3)).toBeCloseTo(1.7168706726411382, 10);
    const large = Float64Array.from([150, 10, 3, 2, 90, 44, 60, 0, 141]);
    expect(adjustedMutual(large, 3)).toBeCloseTo(0.47780472051261735, 10);
    expect(adjustedRand(large, 3)).toBeCloseTo(0.4410752961307082, 10);
  });

  it("is 1 for renamed clusters, 0 bit apart, and unknown where nothing can be compared", () => {
    const renamed = Float64Array.from([0, 4, 6, 0]);
    expect([adjustedMutual(renamed, 2), adjustedRand(renamed, 2), variation(renamed, 2)]).toEqual([1, 1, 0]);
    const nothing = new Float64Array(4);
    expect([adjustedMutual(nothing, 2), adjustedRand(nothing, 2), variation(nothing, 2)]).toEqual([NaN, NaN, NaN]);
  });

  it("weighs by time, whatever the length of the cells, and leaves masked time out", () => {
    const a = side([0, 0, 1, 1, 1, -1], 0.1, [3, 5]);
    const b = side([1, 0, 0], 0.2, [5, 3]);
    const found = agreementOf(a, b);
    expect(found.compared).toBeCloseTo(0.5);
    expect([...found.overlap].map((s) => Number(s.toFixed(6)))).toEqual([0, 0.2, 0.3, 0]);
    expect(found.same).toBeCloseTo(1);
    expect(jaccard(found, 0, 1)).toBeCloseTo(1);
    expect(jaccard(found, 0, 0)).toBe(0);
    const other = agreementOf(a, side([1, 0, 0], 0.2, [5, 9]));
    expect(other.same).toBeCloseTo(0.6);
    expect(other.ami).toBe(found.ami);
  });

  it("is told of the record, and of all records where Python has matched just these choices", () => {
    const [a, b] = [side([0, 0, 1, 1], 0.25, [0, 1]), side([0, 0, 1, 1], 0.25, [0, 1])];
    const found = agreementOf(a, b);
    const choice = { layers: [...a.segmentation.layers], n_clusters: 2 };
    const pairing = { a: choice, b: choice, slots: [0, 1], records: 64, same: 0.5, ami: 0.25 };
    const text = (p: typeof pairing) => agreementText(found, a.segmentation, b.segmentation, p);
    expect(text(pairing)).toContain("Matched clusters in 100 % of 1.0 s; AMI 1.00, ARI 1.00, VI 0.00 bit");
    expect(text(pairing)).toContain("In all 64: 50 %, AMI 0.25");
    expect(text({ ...pairing, b: { ...choice, n_clusters: 3 } })).not.toContain("In all");
    const masked = side([-1, -1], 0.5, [0, 1]);
    expect(agreementText(agreementOf(a, masked), a.segmentation, masked.segmentation, {})).toContain("Nothing to");
  });
});

const choices = (...layers: string[][]) => ({
  layers: layers.map((value) => ({ value, label: value.join("+"), stride_ms: 20, width_ms: 90 })),
  n_clusters: [2, 20] as const,
  records: ["r"],
  targets: ["NORM"],
});

function twoSided(linked: string[]) {
  const mock = new MockModel({
    ...{ record: "r", layers: ["one"], n_clusters: 8, waveform: waveform({ record: "r" }) },
    result: result({ record: "r", layers: ["one"], clusters: 8 }),
    ready: { 9: result({ record: "r", layers: ["one"], clusters: 9 }) },
    choices: choices(["one"], ["two"]),
    ...({
      ...{ other_choices: choices(["two"], ["three"]), other_layers: ["two"], other_n_clusters: 5, linked },
      ...{ other_threshold: 0.4, other: result({ record: "r", layers: ["two"], clusters: 5 }), other_error: "b!" },
    } as unknown as Partial<Traits>),
  });
  return { mock, state: new State(mock.model) };
}

describe("the second side", () => {
  it("has choices, result, threshold and error of its own, and the first side's record and waveform", () => {
    const { state } = twoSided([]);
    const other = state.other!;
    expect(other.picture?.segmentation?.layers).toEqual(["two"]);
    expect(other.picture?.recording.record).toBe("r");
    expect([other.get("n_clusters"), other.get("threshold"), other.error, state.error]).toEqual([5, 0.4, "b!", ""]);
    expect(other.other).toBeNull();
    expect(new State(new MockModel().model).other).toBeNull();
  });

  it("moves along in one message where the two are linked, from either side", () => {
    const { mock, state } = twoSided(["n_clusters", "threshold"]);
    state.set("n_clusters", 9);
    expect(state.other!.get("n_clusters")).toBe(9);
    frame();
    expect(mock.saves).toEqual([{ n_clusters: 9, other_n_clusters: 9 }]);
    state.other!.set("n_clusters", 3);
    frame();
    expect(mock.saves.at(-1)).toEqual({ n_clusters: 3, other_n_clusters: 3 });
    state.set("threshold", 0.7);
    vi.advanceTimersByTime(600);
    expect(mock.saves.at(-1)).toEqual({ threshold: 0.7, other_threshold: 0.7 });
    expect(mock.saves).toHaveLength(3);
  });

  it("stands where it is not linked, and where it does not have the layers", () => {
    const { mock, state } = twoSided(["layers"]);
    state.set("n_clusters", 9); // ready, yet Python must match the clusters: it hears of it with the next frame
    frame();
    expect(mock.saves).toEqual([{ n_clusters: 9 }]);
    state.set("layers", ["two"]);
    state.set("layers", ["one"]);
    frame();
    expect(state.other!.get("layers")).toEqual(["two"]);
    state.other!.set("layers", ["three"]);
    frame();
    expect(state.get("layers")).toEqual(["one"]);
  });

  it("does not send what Python has just set back to it", () => {
    const { mock, state } = twoSided(["n_clusters"]);
    mock.receive({ other_n_clusters: 7 } as unknown as Partial<Traits>);
    frame();
    vi.advanceTimersByTime(1000);
    expect(state.other!.get("n_clusters")).toBe(7);
    expect(state.get("n_clusters")).toBe(8);
    expect(mock.saves).toEqual([]);
  });

  it("lets go of the model", () => {
    const { mock, state } = twoSided([]);
    state.dispose();
    expect(mock.listeners).toBe(0);
  });
});

describe("an exported comparison", () => {
  const other = {
    traits: { other_layers: ["two"], other_n_clusters: 3, other_threshold: 0.5, linked: ["n_clusters"] },
    sides: ["left", "right"],
    choices: choices(["two"]),
    results: {
      r: [
        {
          3: result({ record: "r", layers: ["two"], clusters: 3 }),
          4: result({ record: "r", layers: ["two"], clusters: 4 }),
        },
      ],
    },
    missing: { "r\n0\n5": "fewer cells" },
    pairs: { "0 3 0 3": [[2, 1, 0], 0.5, 0.25], "0 4 0 4": [[3, 1, 0, 2], null, null] },
    records: 9,
  };
  const page = {
    ...{ format: 1, choices: choices(["one"]), waveforms: { r: waveform({ record: "r" }) }, missing: {}, other },
    traits: { layers: ["one"], n_clusters: 3, threshold: 0.5, record: "r", target: "NORM" },
    results: { r: [Object.fromEntries([3, 4].map((k) => [k, result({ record: "r", layers: ["one"], clusters: k })]))] },
  } as unknown as Embedded;

  it("answers moves of both sides at once, with the pairing of both choices", () => {
    const state = new EmbeddedState(new EmbeddedModel(page).model);
    const second = state.other!;
    expect(second).toBeInstanceOf(EmbeddedState);
    expect(state.get("pairing")).toMatchObject({ slots: [2, 1, 0], records: 9, same: 0.5 });
    state.set("n_clusters", 4);
    expect(second.picture?.segmentation?.nClusters).toBe(4);
    expect(state.get("pairing")?.slots).toEqual([3, 1, 0, 2]);
    second.set("n_clusters", 3);
    expect(state.picture?.segmentation?.nClusters).toBe(3);
    expect(state.get("sides")).toEqual(["left", "right"]);
  });

  it("says what it does not hold, and pairs nothing then", () => {
    const chosen = { record: "r", layers: ["one"], n_clusters: 3, other_layers: ["two"], other_n_clusters: 5 };
    const found = otherAnswer(other as never, page.choices, chosen, "shown");
    expect(found).toMatchObject({ other: "shown", pairing: {} });
    expect(found.other_error).toBe("5 clusters of two are not in this page: fewer cells");
    const named = otherAnswer(other as never, page.choices, { ...chosen, record: "constructor" }, null);
    expect(named.other).toBeNull();
  });
});
