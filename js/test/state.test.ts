import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { State, type TraitName } from "../src/state.ts";
import { MockModel } from "./model.ts";
import { result, waveform } from "./synthetic.ts";

let frames: (() => void)[] = [];
const page = Object.assign(new EventTarget(), { hidden: false });
const frame = () => {
  const due = frames;
  frames = [];
  for (const callback of due) {
    callback();
  }
};

beforeEach(() => {
  frames = [];
  page.hidden = false;
  vi.stubGlobal("document", page);
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => frames.push(callback));
  vi.stubGlobal("cancelAnimationFrame", () => {
    frames = [];
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("writing", () => {
  it("sends at most once a frame, and only what changed, in a drag of 60 ticks that the kernel must answer", () => {
    const mock = new MockModel();
    const state = new State(mock.model);
    for (let tick = 0; tick < 60; tick++) {
      state.set("n_clusters", 2 + (tick % 19));
      if (tick % 4 === 3) {
        frame();
      }
    }
    expect(mock.saves).toHaveLength(15);
    expect(mock.saves.every((save) => Object.keys(save).join() === "n_clusters")).toBe(true);
    expect(mock.saves.at(-1)).toEqual({ n_clusters: 2 + (59 % 19) });
  });

  it("tells Python of moves that the page has answered once the hand rests, in one message", () => {
    const ready = Object.fromEntries(
      [9, 10, 11].map((k) => [k, result({ clusters: k, record: "1", layers: ["blocks.2"] })]),
    );
    const mock = new MockModel({ waveform: waveform({ record: "1" }), result: ready[9]!, n_clusters: 9, ready });
    const state = new State(mock.model);
    for (let tick = 0; tick < 60; tick++) {
      state.set("threshold", tick / 60);
      state.set("n_clusters", 9 + (tick % 3));
      vi.advanceTimersByTime(100);
      frame();
    }
    expect(mock.saves).toEqual([]);
    expect(state.picture?.segmentation?.nClusters).toBe(11);
    vi.advanceTimersByTime(1000);
    expect(mock.saves).toEqual([{ threshold: 59 / 60, n_clusters: 11 }]);
  });

  it.each([
    ["a move that the kernel must answer", (state: State) => state.set("record", "2")],
    ["the hand that leaves", (state: State) => state.flush()],
    ["the tab that is hidden", () => page.dispatchEvent(new Event("visibilitychange"))],
  ])("takes along what rests: %s", (_, act) => {
    const mock = new MockModel();
    const state = new State(mock.model);
    state.set("threshold", 0.9);
    act(state);
    frame();
    expect(mock.saves).toHaveLength(1);
    expect(mock.saves[0]).toMatchObject({ threshold: 0.9 });
    vi.runAllTimers();
    expect(mock.saves).toHaveLength(1);
  });

  it("lets Python have the last word on what was not yet sent", () => {
    const mock = new MockModel();
    const state = new State(mock.model);
    state.set("threshold", 0.9);
    mock.receive({ threshold: 0.1 });
    vi.runAllTimers();
    expect(state.get("threshold")).toBe(0.1);
    expect(mock.saves).toEqual([]);
  });

  it("joins traits that change in one frame", () => {
    const mock = new MockModel();
    const state = new State(mock.model);
    state.set("n_clusters", 9);
    state.set("layers", ["blocks.1", "blocks.2"]);
    frame();
    expect(mock.saves).toEqual([{ n_clusters: 9, layers: ["blocks.1", "blocks.2"] }]);
  });

  it("sends nothing for a value that stands already", () => {
    const mock = new MockModel();
    const state = new State(mock.model);
    state.set("layers", ["blocks.2"]);
    state.set("threshold", 0.5);
    frame();
    expect(mock.saves).toEqual([]);
    expect(frames).toEqual([]);
  });

  it("does not wait for frames that a hidden page never has", () => {
    page.hidden = true;
    const mock = new MockModel();
    new State(mock.model).set("target", "MI");
    vi.runAllTimers();
    expect(mock.saves).toEqual([{ target: "MI" }]);
  });

  it("does not lose the last value when the view goes", () => {
    const mock = new MockModel();
    const state = new State(mock.model);
    state.set("threshold", 0.9);
    state.dispose();
    frame();
    expect(mock.saves).toEqual([{ threshold: 0.9 }]);
    expect(mock.listeners).toBe(0);
  });
});

describe("reading", () => {
  it("tells every view, whoever wrote", () => {
    const mock = new MockModel();
    const seen: TraitName[][] = [[], []];
    const states = [new State(mock.model), new State(mock.model)];
    states.forEach((state, i) => {
      state.subscribe((changed) => seen[i]!.push(...changed));
    });
    states[0]!.set("threshold", 0.7);
    states[0]!.flush();
    mock.receive({ target: "MI" });
    expect(new Set(seen[0])).toEqual(new Set(["threshold", "target"]));
    expect(new Set(seen[1])).toEqual(new Set(["threshold", "target"]));
    expect(states[1]!.get("threshold")).toBe(0.7);
  });

  it("never lays a result on another record's trace: the old pair stays until the new one is whole", () => {
    const mock = new MockModel({ record: "1", waveform: waveform({ record: "1" }), result: result({ record: "1" }) });
    const state = new State(mock.model);
    expect(state.picture?.segmentation?.record).toBe("1");
    mock.receive({ record: "2", waveform: waveform({ record: "2" }) });
    expect(state.picture?.recording.record).toBe("1");
    expect(state.stale).toBe(true);
    mock.receive({ result: result({ record: "2" }) });
    expect(state.picture?.recording.record).toBe("2");
    expect(state.picture?.segmentation?.record).toBe("2");
  });

  it("shows the trace alone before the first result and when the result has failed", () => {
    const mock = new MockModel({ waveform: waveform({ record: "1" }) });
    const state = new State(mock.model);
    expect(state.picture).toMatchObject({ segmentation: null, recording: { record: "1" } });
    mock.receive({ result: result({ record: "1" }) });
    mock.receive({ waveform: waveform({ record: "2" }), error: "ValueError: record 2 has 3 leads" });
    expect(state.picture).toMatchObject({ segmentation: null, recording: { record: "2" } });
    expect(state.error).toContain("3 leads");
  });

  it("knows when the controls are ahead of the picture", () => {
    const layers = ["blocks.1"];
    const mock = new MockModel({ layers, record: "1", waveform: waveform({ record: "1" }) });
    mock.receive({ result: result({ record: "1", layers }) });
    const state = new State(mock.model);
    expect(state.stale).toBe(false);
    mock.receive({ n_clusters: 9 });
    expect(state.stale).toBe(true);
    mock.receive({ result: result({ record: "1", layers, clusters: 9 }) });
    expect(state.stale).toBe(false);
    mock.receive({ layers: ["blocks.2"] });
    expect(state.stale).toBe(true);
  });

  it("shows what was computed ahead at once, and keeps it until something newer is there", () => {
    const layers = ["blocks.1"];
    const of = (clusters: number, record = "1") => result({ record, layers, clusters });
    const mock = new MockModel({ layers, record: "1", waveform: waveform({ record: "1" }), result: of(8) });
    const state = new State(mock.model);
    expect(state.readyClusters).toEqual([]);
    mock.receive({ ready: { "9": of(9), "12": of(12), "5": of(5, "2") } });
    expect(state.readyClusters).toEqual([9, 12]);
    expect(state.picture?.segmentation?.nClusters).toBe(8);
    state.set("n_clusters", 12);
    expect(state.picture?.segmentation?.nClusters).toBe(12);
    expect(state.stale).toBe(false);
    const first = state.picture?.segmentation;
    state.set("n_clusters", 13); // not ready: the last picture stays, not the older result
    expect(state.picture?.segmentation).toBe(first);
    expect(state.stale).toBe(true);
    mock.receive({ result: of(13) });
    expect(state.picture?.segmentation?.nClusters).toBe(13);
    state.set("n_clusters", 12);
    expect(state.picture?.segmentation).toBe(first); // read once
    mock.receive({ layers: ["blocks.2"] }); // computed ahead for other layers: of no use here
    expect(state.readyClusters).toEqual([]);
    expect(state.stale).toBe(true);
    mock.receive({ record: "2", layers, n_clusters: 5, waveform: waveform({ record: "2" }) });
    expect(state.picture).toMatchObject({ recording: { record: "2" }, segmentation: { record: "2", nClusters: 5 } });
  });

  it("prefers the exact result that comes later to a first answer", () => {
    const layers = ["blocks.1"];
    const draft = result({ record: "1", layers, clusters: 9, stride: 0.08 });
    const exact = result({ record: "1", layers, clusters: 9, stride: 0.04 });
    const mock = new MockModel({
      layers,
      record: "1",
      n_clusters: 9,
      waveform: waveform({ record: "1" }),
      result: draft,
    });
    const state = new State(mock.model);
    const before = state.picture?.segmentation?.centre.length;
    mock.receive({ ready: { "9": exact } });
    expect(state.picture?.segmentation?.centre.length).toBe(2 * before!);
  });

  it("turns data that it cannot read into an error in the view", () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const broken = waveform();
    broken.data_vars.signal!.data = new ArrayBuffer(3);
    const mock = new MockModel({ waveform: broken });
    const state = new State(mock.model);
    expect(state.error).toContain("The page cannot read waveform: signal: expected");
    expect(log).toHaveBeenCalledOnce();
    mock.receive({ waveform: waveform() });
    expect(state.error).toBe("");
  });
});
