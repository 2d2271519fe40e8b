import { describe, expect, it } from "vitest";
import { type Arrangement, STANDARD } from "../src/arrangements.ts";
import { fileName, toSvg, withPixelSize, wrapped } from "../src/figure.ts";
import { arrange, toX, toY } from "../src/layout.ts";
import { LIGHT } from "../src/paper.ts";
import { readRecording } from "../src/recording.ts";
import { readSegmentation } from "../src/segmentation.ts";
import { cellBorders } from "../src/segments.ts";
import { escapeXml, UNITS } from "../src/svg.ts";
import { result, waveform } from "./synthetic.ts";

const recording = readRecording(waveform({ rate: 500, record: "1" }));
const segmentation = readSegmentation(result({ rate: 500, record: "1", clusters: 8 }));
const measure = (text: string, font: string) => 0.6 * text.length * Number(/([\d.]+)px/.exec(font)![1]);
const HOSTILE = `<script>alert(1)</script>"&'\u0000\u202e\ud800`;

function svg(arrangement: Arrangement, speed = 25, gain = 10, colouring: "bands" | "trace" = "bands", title = "ECG 1") {
  const layout = arrange(recording, { ...STANDARD, arrangement, speed, gain });
  const borders = cellBorders(segmentation.centre, recording.start, recording.end);
  const colours = Array.from(segmentation.slot, () => "#3f90da");
  const scene = { layout, recording, scale: 2, devicePixelRatio: 1, theme: LIGHT, font: `Arial, "X<y"` };
  const overlay = { segmentation, borders, colours, threshold: 0.5, colouring, cell: -1, cluster: -1 };
  const calipers = [{ kind: "rr" as const, record: "1", lead: "II", start: 1, end: 1.8, ms: 800, bpm: 75 }];
  return { layout, text: toSvg({ scene, overlay, calipers, title, caption: ["25 mm/s", HOSTILE] }, measure) };
}
const part = (text: string, name: string) => text.split(`data-ecg="${name}">`)[1]!.split("</g>")[0]!;
const points = (path: string) => [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);

describe("SVG", () => {
  it.each([
    [25, 10],
    [50, 20],
    [12.5, 5],
  ])("is millimetre-exact at %d mm/s and %d mm/mV: pulse, viewBox, every sample", (speed, gain) => {
    const { layout, text } = svg("rows", speed, gain);
    const [, width, viewBox] = /width="([\d.]+)mm" height="[\d.]+mm" viewBox="0 0 ([\d.]+) /.exec(text)!;
    expect(Number(width)).toBe(layout.width);
    expect(viewBox).toBe(width);
    const pulse = /d="(M[^"]*)"/.exec(part(text, "text"))![1]!;
    const corners = points(pulse).slice(0, 6);
    const ys = corners.map(([, y]) => y! / UNITS);
    expect(Math.max(...ys) - Math.min(...ys)).toBeCloseTo(gain, 2);
    expect((corners[3]![0]! - corners[2]![0]!) / UNITS).toBeCloseTo(Math.max(0.2 * speed, 0.8), 2);
    const lines = [...part(text, "traces").matchAll(/d="([^"]*)"/g)].map(([, d]) => points(d!));
    expect(lines).toHaveLength(12);
    const trace = layout.blocks[0]!.traces[1]!;
    for (const i of [0, 777, 4999]) {
      const [x, y] = lines[1]![i]!;
      expect(x! / UNITS).toBeCloseTo(toX(trace.area, i / 500), 2);
      expect(y! / UNITS).toBeCloseTo(toY(trace, recording.signal[1]![i]!), 2);
    }
  });

  it("holds hostile text as text, and nothing that XML cannot hold", () => {
    const { text } = svg("3x4", 25, 10, "bands", HOSTILE);
    expect(text).not.toContain("<script");
    expect(text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;&#39;\ufffd\u202e\ufffd");
    expect(text).not.toContain("\u0000");
    expect(escapeXml("\ud83d\udc93 \u00b5V")).toBe("\ud83d\udc93 \u00b5V");
    expect(text.match(/<g[ >]/g)!.length).toBe(text.match(/<\/g>/g)!.length);
  });

  it("colours the line in pieces that join without a gap, and draws calipers", () => {
    const { text } = svg("cabrera", 25, 10, "trace");
    const pieces = [...part(text, "colours").matchAll(/d="([^"]*)"/g)].map(([, d]) => points(d!));
    const [first, second] = [pieces[0]!.at(-1)!, pieces[1]![0]!];
    expect(first).toEqual(second);
    expect(part(text, "calipers")).toContain("RR 800 ms, 75/min");
    expect(part(text, "text")).toContain("\u2212aVR");
  });
});

describe("files", () => {
  it("break captions between facts, and long facts anywhere", () => {
    expect(wrapped(["aaa", "bbb", "c".repeat(12)], (line) => line.length <= 9)).toEqual([
      "aaa \u00b7 bbb",
      "ccccccccc",
      "ccc",
    ]);
  });

  it("say how large their pixels are", () => {
    const png = withPixelSize(new Uint8Array(60).fill(7), 12000);
    const view = new DataView(png.buffer);
    expect(png.length).toBe(81);
    expect(new TextDecoder().decode(png.subarray(37, 41))).toBe("pHYs");
    expect([view.getUint32(41), view.getUint32(45), png[49]]).toEqual([12000, 12000, 1]);
    expect(view.getUint32(50)).toBe(0x0f0ed7e1); // as zlib.crc32 has it
  });

  it("have names that every file system takes", () => {
    expect(fileName("../../a<b>:c", "svg")).toBe("a_b_c.svg");
    expect(fileName("\u0000", "png")).toBe("ecg.png");
    expect(fileName("x".repeat(10000), "svg").length).toBeLessThan(90);
  });
});
