// A long recording as the state and the navigator see it.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { STANDARD } from "../src/arrangements.ts";
import { arrange } from "../src/layout.ts";
import { Navigator } from "../src/navigator.ts";
import { readOverview } from "../src/overview.ts";
import { readRecording } from "../src/recording.ts";
import { readSegmentation } from "../src/segmentation.ts";
import { State } from "../src/state.ts";
import { LongRecording } from "./long.ts";
import { MockModel } from "./model.ts";
import { result, waveform } from "./synthetic.ts";

const LAYERS = ["blocks.2"];
const hour = new LongRecording({ hours: 1, record: "1", leads: ["II", "V1"] });

beforeEach(() => {
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
  vi.stubGlobal("requestAnimationFrame", () => 1);
});
afterEach(() => vi.unstubAllGlobals());

function model(span: [number, number] = [0, 30]): MockModel {
  return new MockModel({ span, overview: hour.overview(1, 64), ...hour.answer(span, 8, LAYERS) });
}

describe("reading", () => {
  it("knows decimation, start and the rate as recorded", () => {
    const fine = readRecording(hour.waveform([100, 130]));
    expect([fine.start, fine.end, fine.decimation, fine.samplingRate]).toEqual([100, 130, 1, 250]);
    const coarse = readRecording(hour.waveform([0, 900]));
    expect(coarse.decimation).toBe(8);
    expect(coarse.samplingRateRecorded).toBe(250);
    expect(coarse.end).toBeCloseTo(900, 0);
    expect(coarse.signal[0]!.length).toBeLessThanOrEqual(60_000);
  });

  it("reads an overview of which a part is not read yet, and refuses another shape", () => {
    const overview = readOverview(hour.overview(0.5, 64));
    expect([overview.columns, overview.read, overview.end]).toEqual([64, 0.5, 3600]);
    expect(Number.isNaN(overview.envelope[2 * 40])).toBe(true);
    expect(overview.envelope[0]).toBeLessThan(overview.envelope[1]!);
    expect(overview.level).toEqual([0, 0]);
    const broken = hour.overview(1, 64);
    broken.data_vars.envelope!.dims = ["lead", "bound", "column"];
    expect(() => readOverview(broken)).toThrow(/envelope: expected \(lead, column, bound\)/);
  });

  it("reads shares without cells", () => {
    const segmentation = readSegmentation(hour.result([0, 900], 5, LAYERS));
    expect(segmentation.centre.length).toBe(0);
    expect(segmentation.windows).toBe(90);
    expect(segmentation.span).toEqual([0, 900]);
    expect(segmentation.density).toMatchObject({ nClusters: 5, windows: [360, 360] });
    expect(readSegmentation(result()).density).toBeNull();
  });
});

describe("layout", () => {
  it("has one row a lead, less speed, and shares instead of cells, the longer the stretch", () => {
    const recording = readRecording(hour.waveform([0, 120]));
    for (const [seconds, speed, density] of [
      [10, 25, false],
      [60, 250 / 60, false],
      [300, 250 / 300, true],
    ] as const) {
      const layout = arrange(recording, STANDARD, { start: 20, seconds, whole: [0, 3600] });
      expect(layout.speed).toBeCloseTo(speed);
      expect(layout.density).toBe(density);
      expect(layout.blocks[0]!.traces).toHaveLength(2);
      expect(layout.window).toEqual([20, 20 + seconds]);
    }
  });
});

describe("the picture", () => {
  it("has no segments of another stretch, number of clusters or layer", () => {
    const mock = model();
    const state = new State(mock.model);
    expect(state.picture?.segmentation?.span).toEqual([0, 30]);
    mock.receive({ waveform: hour.waveform([100, 130]) });
    expect(state.picture).toMatchObject({ recording: { start: 100 }, segmentation: null });
    expect(state.stale).toBe(true);
    mock.receive({ result: hour.result([100, 130], 8, LAYERS) });
    expect(state.picture?.segmentation?.span).toEqual([100, 130]);
    mock.receive({ n_clusters: 9, ...hour.answer([200, 230], 8, LAYERS) });
    expect(state.picture).toMatchObject({ recording: { start: 200 }, segmentation: null });
    mock.receive({ progress: "clustering" }); // nothing new: still none
    expect(state.picture?.segmentation).toBeNull();
    mock.receive({ result: hour.result([200, 230], 9, LAYERS) });
    expect(state.picture?.segmentation?.nClusters).toBe(9);
  });

  it("keeps its segments while another number of clusters is computed for the same stretch", () => {
    const mock = model();
    const state = new State(mock.model);
    const shown = state.picture?.segmentation;
    state.set("n_clusters", 12);
    expect(state.picture?.segmentation).toBe(shown);
    expect(state.stale).toBe(true);
  });

  it("shows what was computed ahead for this stretch, and never that of another", () => {
    const mock = model();
    const state = new State(mock.model);
    mock.receive({ ready: { "9": hour.result([0, 30], 9, LAYERS), "10": hour.result([10, 40], 10, LAYERS) } });
    expect(state.readyClusters).toEqual([9]);
    state.set("n_clusters", 9);
    expect(state.picture?.segmentation?.nClusters).toBe(9);
    state.set("n_clusters", 10);
    expect(state.picture?.segmentation?.nClusters).toBe(9);
    mock.receive({ ...hour.answer([10, 40], 8, LAYERS) });
    expect(state.readyClusters).toEqual([10]);
    expect(state.picture?.segmentation?.nClusters).toBe(10);
  });

  it("has no overview of another record", () => {
    const mock = model();
    const state = new State(mock.model);
    expect(state.overview?.record).toBe("1");
    mock.receive({ record: "2", waveform: waveform({ record: "2" }), result: result({ record: "2", layers: LAYERS }) });
    expect(state.picture?.recording.record).toBe("2");
    expect(state.overview).toBeNull();
  });
});

describe("decoding", () => {
  it("waits until somebody looks, and happens once for all that came", () => {
    const mock = model();
    const state = new State(mock.model);
    expect(state.decoded).toBe(0);
    for (let i = 0; i < 50; i++) {
      mock.receive(hour.answer([10 * i, 10 * i + 30], 8, LAYERS));
    }
    expect(state.decoded).toBe(0);
    expect(state.picture?.recording.start).toBe(490);
    expect(state.decoded).toBe(3);
    expect(state.stale).toBe(false);
    expect(state.decoded).toBe(3);
  });
});

describe("moving", () => {
  const start = (mock: MockModel) => {
    const state = new State(mock.model);
    let moves = 0;
    const navigator = new Navigator(state, () => {
      moves += 1;
    });
    state.subscribe((changed) => changed.has("span") && navigator.spanChanged());
    navigator.update(state.picture!.recording, state.overview);
    return { state, navigator, moves: () => moves };
  };

  it("asks for nothing while half a screen is left, then once", () => {
    const mock = model([0, 30]);
    const { navigator, state } = start(mock);
    let asked = 0;
    state.subscribe((changed) => {
      asked += Number(changed.has("span"));
    });
    for (let at = 0; at <= 15; at += 0.1) {
      navigator.moveTo(at);
    }
    expect(asked).toBe(0);
    for (let at = 15.1; at < 16; at += 0.1) {
      navigator.moveTo(at);
    }
    expect(asked).toBe(1);
    expect(state.get("span")).toEqual([0, 40]);
  });

  it("stays where the user is when older requests are answered late, widened or clipped", () => {
    const mock = model([0, 30]);
    const { navigator, state } = start(mock);
    navigator.moveTo(1000);
    const first = [...state.get("span")];
    navigator.moveTo(2000);
    mock.receive({ span: [first[0]! - 3, first[1]! + 3] });
    expect(navigator.sight.start).toBe(2000);
  });

  it("follows Python to where it asks to go, and asks for nothing itself", () => {
    const mock = model([0, 30]);
    const { navigator, moves } = start(mock);
    const before = moves();
    mock.receive({ span: [1200, 1230] });
    expect([navigator.sight.start, navigator.sight.seconds]).toEqual([1210, 10]);
    expect(moves()).toBe(before + 1);
    expect(mock.saves).toEqual([]);
    expect(mock.get("span")).toEqual([1200, 1230]);
  });

  it("lets two views of one recording rest: neither takes the other's request for its own", () => {
    const mock = model([0, 30]);
    const [a, b] = [start(mock), start(mock)];
    let asked = 0;
    mock.on("change:span", () => {
      asked += 1;
    });
    a.navigator.moveTo(900);
    a.navigator.zoomTo(60);
    a.navigator.zoomTo(300);
    a.state.flush();
    expect(asked).toBe(1);
    expect(mock.saves).toHaveLength(1);
    expect(b.navigator.sight.seconds).toBe(300);
    expect(Math.abs(b.navigator.sight.start - a.navigator.sight.start)).toBeLessThan(20);
  });

  it("is a window of 10 s in a recording that is not long, and asks for nothing", () => {
    const mock = new MockModel({ waveform: waveform({ record: "1", seconds: 30, rate: 100 }) });
    const { navigator, state } = start(mock);
    navigator.moveTo(99);
    expect(navigator.sight.start).toBe(20);
    expect(navigator.reach(state.picture!.recording)).toBe(20);
    expect(mock.get("span")).toEqual([]);
  });
});
