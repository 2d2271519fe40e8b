import { describe, expect, it } from "vitest";
import { type Frame, Polyline, trace } from "../src/trace.ts";
import { noise } from "./synthetic.ts";

const frame = (perSample: number) => ({ x0: 0, y0: 0, perSample, perUnit: -1 });
/** One flat list x, y, x, y for each line. */
function polylines(signal: Float32Array, from: number, to: number, frame: Frame): number[][] {
  const out = new Polyline();
  trace(signal, from, to, frame, out);
  const lines: number[][] = [[]];
  for (let i = 0; i < out.length; i += 2) {
    if (Number.isNaN(out.xy[i])) {
      lines.push([]);
    } else {
      lines.at(-1)!.push(out.xy[i]!, out.xy[i + 1]!);
    }
  }
  return lines.filter((line) => line.length > 0);
}
const values = (lines: number[][]) => lines.map((line) => line.filter((_, i) => i % 2 === 1));

describe("lines", () => {
  it("keep every sample where pixels are many", () => {
    expect(polylines(Float32Array.of(1, 2, 3), 0, 3, frame(2))).toEqual([[0, 1, 2, 2, 4, 3]]);
  });

  it("break at gaps and keep a lone sample between two of them", () => {
    const signal = Float32Array.of(1, Number.NaN, 2, Number.NaN, Number.NaN, 3, 4);
    expect(values(polylines(signal, 0, 7, frame(2)))).toEqual([[1], [2], [3, 4]]);
    expect(polylines(new Float32Array(3).fill(Number.NaN), 0, 3, frame(1))).toEqual([]);
    expect(polylines(signal, 0, 0, frame(1))).toEqual([]);
  });

  it("keep least, greatest, first and last of each pixel column, in order and at their own time", () => {
    for (let seed = 1; seed < 25; seed++) {
      const next = noise(seed);
      const n = 997;
      const signal = Float32Array.from({ length: n }, () => next());
      const perSample = 0.01 * (seed + 3);
      const [line] = polylines(signal, 0, n, frame(perSample));
      const columns = new Map<number, number[]>();
      let before = -1;
      for (let i = 0; i < line!.length; i += 2) {
        const sample = Math.round(line![i]! / perSample);
        expect(sample).toBeGreaterThan(before);
        expect(line![i + 1]).toBe(signal[sample]);
        before = sample;
        const column = Math.floor(line![i]!);
        columns.set(column, [...(columns.get(column) ?? []), line![i + 1]!]);
      }
      const all = new Map<number, number[]>();
      signal.forEach((value, i) => {
        const column = Math.floor(i * perSample);
        all.set(column, [...(all.get(column) ?? []), value]);
      });
      expect([...columns.keys()]).toEqual([...all.keys()]);
      for (const [column, kept] of columns) {
        const whole = all.get(column)!;
        expect(kept.length).toBeLessThanOrEqual(4);
        expect([Math.min(...kept), Math.max(...kept), kept[0], kept.at(-1)]).toEqual([
          Math.min(...whole),
          Math.max(...whole),
          whole[0],
          whole.at(-1),
        ]);
      }
    }
  });

  it("start at the first sample asked for", () => {
    expect(polylines(Float32Array.of(9, 9, 5, 6), 2, 4, { ...frame(3), x0: 10 })).toEqual([[10, 5, 13, 6]]);
  });
});

it("a line is kept in the same memory from frame to frame", () => {
  const out = new Polyline();
  const signal = Float32Array.from({ length: 9000 }, (_, i) => i % 7);
  trace(signal, 0, 9000, frame(2), out);
  const { xy, length } = out;
  out.clear();
  trace(signal, 0, 9000, frame(2), out);
  expect(out.xy).toBe(xy);
  expect(out.length).toBe(length);
});
