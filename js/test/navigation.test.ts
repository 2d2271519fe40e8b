import { describe, expect, it } from "vitest";
import type { Sight } from "../src/layout.ts";
import {
  isEnough,
  keyTarget,
  movedTo,
  sightIn,
  wantedSpan,
  zoomedTo,
  zoomStep,
  zoomsOf,
  zoomText,
} from "../src/navigation.ts";
import { noise } from "./synthetic.ts";

const DAY = 86400;
const sight = (start: number, seconds = 10, whole: [number, number] = [0, DAY]): Sight => ({ start, seconds, whole });

describe("lengths", () => {
  it("are those that are shorter than the recording, and all of it", () => {
    expect(zoomsOf([0, DAY])).toEqual([10, 30, 60, 300, 1800, 7200, DAY]);
    expect(zoomsOf([5, 305])).toEqual([10, 30, 60, 300]);
    expect(zoomsOf([0, 300]).map((zoom) => zoomText(zoom, [0, 300]))).toEqual(["10 s", "30 s", "1 min", "all"]);
    expect([zoomStep(sight(0, 60), 1), zoomStep(sight(0, 60), -1)]).toEqual([300, 30]);
    expect([zoomStep(sight(0, DAY), 1), zoomStep(sight(0, 10), -1)]).toEqual([DAY, 10]);
  });

  it("keep the moment under the pointer in its place, inside the recording", () => {
    const out = zoomedTo(sight(1000, 10), 60, 1002);
    expect((1002 - out.start) / out.seconds).toBeCloseTo(0.2);
    expect(zoomedTo(sight(0, 10), 300, 9).start).toBe(0);
    expect(zoomedTo(sight(DAY - 10, 10), 300).start).toBe(DAY - 300);
  });
});

describe("keys", () => {
  it("move a tenth of the screen, a screen, or to an end", () => {
    expect(keyTarget("ArrowRight", sight(100, 30), "PageUp")).toBe(103);
    expect(keyTarget("ArrowLeft", sight(1, 30), "PageUp")).toBe(0);
    expect(keyTarget("PageUp", sight(100, 30), "PageUp")).toBe(130);
    expect(keyTarget("PageUp", sight(100, 30), "PageDown")).toBe(70);
    expect(keyTarget("PageDown", sight(100, 30), "PageDown")).toBe(130);
    expect(keyTarget("Home", sight(100, 30), "PageUp")).toBe(0);
    expect(keyTarget("End", sight(100, 30), "PageUp")).toBe(DAY - 30);
    expect(keyTarget("a", sight(100, 30), "PageUp")).toBeNull();
  });
});

describe("what is asked for", () => {
  it("is three screens on a grid of 10 s, and never more than cells are computed for", () => {
    expect(wantedSpan(sight(103.2))).toEqual([90, 130]);
    expect(wantedSpan(sight(3000, 300))).toEqual([2700, 3600]);
    const next = noise(3);
    for (let i = 0; i < 200; i++) {
      for (const seconds of [10, 30, 60]) {
        const [from, to] = wantedSpan(sight((next() + 0.5) * (DAY - 60), seconds));
        expect(to - from).toBeLessThanOrEqual(120);
        expect([from % 10, to % 10]).toEqual([0, 0]);
      }
    }
  });

  it("stays inside the recording, whose end need not lie on the grid", () => {
    expect(wantedSpan(sight(0))).toEqual([0, 20]);
    expect(wantedSpan(sight(7.3, 10, [7.3, 107.9]))).toEqual([7.3, 27.3]);
    const [from, to] = wantedSpan(sight(97.9, 10, [7.3, 107.9]));
    expect(from).toBeCloseTo(87.3);
    expect(to).toBe(107.9);
    expect(wantedSpan(sight(0, DAY))).toEqual([0, DAY]);
  });

  it("is enough right after it was asked for, wherever one is and however far one has zoomed", () => {
    const next = noise(9);
    for (const whole of [
      [0, DAY],
      [3, 77.7],
      [0, 3600],
    ] as [number, number][]) {
      for (const seconds of zoomsOf(whole)) {
        for (let i = 0; i < 60; i++) {
          const here = movedTo(sight(0, seconds, whole), whole[0] + (next() + 0.5) * (whole[1] - whole[0]));
          expect(isEnough(wantedSpan(here), here)).toBe(true);
        }
      }
    }
  });

  it("lasts until half a screen is left, and no longer", () => {
    const span = wantedSpan(sight(100)); // 90 to 120
    expect(span).toEqual([90, 120]);
    expect(isEnough(span, sight(105))).toBe(true);
    expect(isEnough(span, sight(105.1))).toBe(false);
    expect(isEnough(span, sight(95))).toBe(true);
    expect(isEnough(span, sight(94.9))).toBe(false);
    expect(isEnough([0, 20], sight(0))).toBe(true);
    expect(isEnough([], sight(0))).toBe(false);
    expect(isEnough(undefined, sight(0))).toBe(false);
  });

  it("is too coarse where cells are to be seen, or for a screen that is a small part of it", () => {
    expect(isEnough([0, 900], sight(300, 60))).toBe(false);
    expect(isEnough([0, 110], sight(40, 10))).toBe(true);
    expect(isEnough([0, 5400], sight(2000, 300))).toBe(false);
    expect(isEnough([0, 900], sight(300, 300))).toBe(true);
  });
});

describe("a span that someone else has asked for", () => {
  it("is shown from its middle, and serves what is shown", () => {
    for (const seconds of [10, 30, 60, 300, 1800, 7200, DAY]) {
      const span = wantedSpan(movedTo(sight(0, seconds), 20000));
      const here = sightIn(span, sight(0, 10));
      expect(here.start).toBeGreaterThanOrEqual(span[0]);
      expect(here.start + here.seconds).toBeLessThanOrEqual(span[1] + 1e-9);
      expect(isEnough(span, here)).toBe(true);
    }
  });
});
