import { beforeEach, describe, expect, it, vi } from "vitest";
import { Dots } from "../src/panels/dots.ts";
import { middlesOf } from "../src/panels/mapdraw.ts";
import type { View } from "../src/panels/panel.ts";
import { LIGHT } from "../src/paper.ts";
import { readSegmentation, type Segmentation } from "../src/segmentation.ts";
import { noise, result } from "./synthetic.ts";

const [W, H, RATIO] = [120, 90, 2];
const COLOURS = ["#110000", "#220000", "#330000", "#440000", "#550000", "#660000"];

/** What was last put on a canvas */
let put: Uint32Array = new Uint32Array(0);

beforeEach(() => {
  const context = { putImageData: (image: { data: Uint8ClampedArray }) => (put = new Uint32Array(image.data.buffer)) };
  vi.stubGlobal("document", { createElement: () => ({ width: 0, height: 0, getContext: () => context }) });
  vi.stubGlobal(
    "ImageData",
    class {
      readonly data: Uint8ClampedArray;
      constructor(width: number, height: number) {
        this.data = new Uint8ClampedArray(4 * width * height);
      }
    },
  );
});

const plain = readSegmentation(result({ seconds: 120, clusters: 6 }));
const n = plain.centre.length;
/** Some cells at the very edges of what an entropy can be, some unknown, some masked. */
const entropy = Float32Array.from(plain.entropy, (e, i) => [e, e, e, 0, 1, 0.3, 0.5, Number.NaN][i % 8]!);
const segmentation: Segmentation = {
  ...plain,
  entropy,
  valid: Uint8Array.from(plain.valid, (v, i) => (i % 11 ? v : 0)),
};
const random = noise(3);
const points = Float64Array.from({ length: 2 * n }, (_, i) =>
  segmentation.valid[i >> 1] ? (random() + 0.5) * (i % 2 ? H : W) * 0.55 : Number.NaN,
);
const view = (threshold: number, more: Partial<View> = {}): View =>
  ({ segmentation, colours: COLOURS, threshold, cluster: -1, selected: null, ...more }) as View;
const fresh = (of: View) => {
  const dots = new Dots();
  dots.place(points, of, W, H, RATIO);
  dots.paint(of, LIGHT);
  return { pixels: put.slice(), middles: dots.middles };
};
const selected = Uint8Array.from({ length: n }, (_, i) => (i % 3 ? 0 : 1));

describe("very many cells on the map", () => {
  it.each([
    ["as they are", {}],
    ["a cluster pointed at", { cluster: 2 }],
    ["some selected", { selected }],
  ])("are the same whichever thresholds were before: %s", (_, more) => {
    const steps = [0.5, 0.48, 0.3, Math.fround(0.3), 0.31, 0, 1, 0.999, 0.1, 0.7];
    const dots = new Dots();
    dots.place(points, view(0.5, more), W, H, RATIO);
    const seen = new Set<string>();
    for (const threshold of steps) {
      dots.paint(view(threshold, more), LIGHT);
      const pixels = put.join();
      const whole = fresh(view(threshold, more));
      expect(pixels).toBe(whole.pixels.join());
      expect(dots.middles).toEqual(whole.middles);
      seen.add(pixels);
    }
    expect(seen.size).toBeGreaterThan(5);
  });

  it("repaints only those that a threshold moves across", () => {
    const dots = new Dots();
    dots.place(points, view(0.5), W, H, RATIO);
    dots.paint(view(0.5), LIGHT);
    dots.paint(view(0.52), LIGHT);
    const across = (e: number, i: number) =>
      segmentation.valid[i] && segmentation.cluster[i]! >= 0 && e > 0.5 && e <= Math.fround(0.52);
    expect(dots.moved).toBe(Array.from(entropy).filter(across).length);
    expect(dots.moved).toBeGreaterThan(5);
  });

  it("lie in the colours of their looks, masked cells nowhere", () => {
    const { pixels } = fresh(view(0.5));
    const found = new Set([...pixels].map((p) => p >>> 0));
    const colour = (hex: string) => (0xff000000 | Number.parseInt(hex.slice(1, 3), 16)) >>> 0;
    const muted = Number.parseInt(LIGHT.muted.slice(1), 16);
    const swapped = (0xff000000 | ((muted & 255) << 16) | (muted & 0xff00) | (muted >> 16)) >>> 0;
    expect(found).toEqual(new Set([0, swapped, ...COLOURS.map(colour)]));
  });

  it("put a letter in the middle of a cluster's certain cells", () => {
    const { middles } = fresh(view(0.4));
    const exact = middlesOf(points, view(0.4));
    middles.forEach(({ x, y, n: count }, k) => {
      expect(count).toBe(exact[k]!.n);
      expect(Math.abs(x - exact[k]!.x) / count).toBeLessThan(0.01);
      expect(Math.abs(y - exact[k]!.y) / count).toBeLessThan(0.01);
    });
  });
});
