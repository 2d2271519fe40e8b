import { describe, expect, it } from "vitest";
import { Ink, pixelOf } from "../src/ink.ts";
import { isReadable, Polyline } from "../src/trace.ts";
import { noise } from "./synthetic.ts";

const line = (...points: number[]): Polyline => {
  const out = new Polyline();
  for (let i = 0; i < points.length; i += 2) {
    out.push(points[i]!, points[i + 1]!);
  }
  out.end();
  return out;
};
const alpha = (ink: Ink, x: number, y: number): number => ink.pixels[y * ink.width + x]! >>> 24;

describe("a line", () => {
  it("covers what a line of its width covers: ends, middle and nothing else", () => {
    const ink = new Ink(20, 9);
    ink.stroke(line(4, 4.5, 15, 4.5), 2, pixelOf("#102030"));
    expect(alpha(ink, 9, 4)).toBe(255);
    expect(alpha(ink, 9, 3)).toBeCloseTo(127, -1); // a width of 2 around the middle of a pixel row
    expect(alpha(ink, 9, 2)).toBe(0);
    expect(alpha(ink, 1, 4)).toBe(0);
    expect(alpha(ink, 18, 4)).toBe(0);
    expect(ink.pixels[4 * 20 + 9]! & 0xffffff).toBe(0x302010);
  });

  it("is as far from every pixel as geometry says", () => {
    const next = noise(2);
    for (let n = 0; n < 30; n++) {
      const [ax, ay, bx, by] = Array.from({ length: 4 }, () => 4 + 24 * (next() + 0.5)) as [
        number,
        number,
        number,
        number,
      ];
      const width = 1 + 3 * (next() + 0.5);
      const ink = new Ink(32, 32);
      ink.stroke(line(ax, ay, bx, by), width, 0);
      for (let y = 0; y < 32; y++) {
        for (let x = 0; x < 32; x++) {
          const [px, py] = [x + 0.5, y + 0.5];
          const t = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2);
          const s = Math.min(Math.max(t, 0), 1);
          const distance = Math.hypot(px - ax - s * (bx - ax), py - ay - s * (by - ay));
          const cover = Math.min(Math.max(width / 2 + 0.5 - distance, 0), 1);
          expect(Math.abs(alpha(ink, x, y) - 255 * cover)).toBeLessThan(1.5);
        }
      }
    }
  });

  it("breaks at a gap, keeps a lone sample, and may leave the picture", () => {
    const ink = new Ink(30, 9);
    const points = line(2, 4.5, 6, 4.5);
    points.push(13.5, 4.5);
    points.end();
    points.push(20, 4.5);
    points.push(99, -40);
    points.end();
    ink.stroke(points, 2, 0);
    expect([alpha(ink, 4, 4), alpha(ink, 10, 4), alpha(ink, 13, 4), alpha(ink, 16, 4)]).toEqual([255, 0, 255, 0]);
    expect(alpha(ink, 20, 4)).toBeGreaterThan(200);
  });
});

describe("a broad line", () => {
  it("reaches its radius up, down and to the sides, and peaks stay where they are", () => {
    const ink = new Ink(40, 40);
    ink.wash(line(5, 30, 20, 30, 20.2, 8, 20.4, 30, 35, 30), 2, pixelOf("#ff0000"));
    expect(alpha(ink, 20, 6)).toBeGreaterThan(100); // radius above the peak
    expect(alpha(ink, 20, 5)).toBe(0);
    expect(alpha(ink, 10, 30)).toBe(255);
    expect([alpha(ink, 10, 27), alpha(ink, 10, 33)]).toEqual([0, 0]);
    expect([alpha(ink, 17, 15), alpha(ink, 20, 15), alpha(ink, 24, 15)]).toEqual([0, 255, 0]);
  });

  it("takes other colours where it is covered, in the rectangle asked for and nowhere else", () => {
    const ink = new Ink(20, 10);
    ink.wash(line(2, 5, 18, 5), 2, 1);
    ink.tint(5, 0, 10, 10, new Uint32Array(20).fill(7));
    const colour = (x: number) => ink.pixels[5 * 20 + x]! & 0xffffff;
    expect([colour(4), colour(5), colour(9), colour(10)]).toEqual([1, 7, 7, 1]);
    expect(ink.pixels[0]).toBe(0);
  });
});

it("extremes of stretches are drawn only where they are columns, not waves", () => {
  expect(isReadable({ decimation: 1, samplingRate: 100 }, 400)).toBe(true);
  expect(isReadable({ decimation: 8, samplingRate: 62.5 }, 94)).toBe(false);
  expect(isReadable({ decimation: 8, samplingRate: 62.5 }, 3)).toBe(true);
});
