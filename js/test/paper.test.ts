import { describe, expect, it } from "vitest";
import { fitScale, footer, SMALLEST, TRUE_SIZE } from "../src/paper.ts";

const facts = {
  samplingRate: 500,
  filters: "",
  note: "",
  units: "mV",
  scale: 2.4,
  devicePixelRatio: 1,
  arrangement: ["3 \u00d7 4 + II"],
  shift: 0,
};

describe("scale", () => {
  it("fits the width, never exceeds life size by more than rounding, and makes large squares whole pixels", () => {
    for (const ratio of [1, 1.25, 1.5, 2, 3]) {
      for (let available = 320; available < 1800; available += 37) {
        const scale = fitScale(265, available, ratio);
        expect(5 * ratio * (scale - SMALLEST) < 1 || scale * 265 <= available + 1e-3).toBe(true);
        expect(scale).toBeGreaterThanOrEqual(SMALLEST);
        expect(scale).toBeLessThanOrEqual(TRUE_SIZE * 1.01);
        const square = 5 * scale * ratio;
        expect(Math.abs(square - Math.round(square))).toBeLessThan(1e-9);
      }
    }
  });
});

describe("actual size", () => {
  it("has a millimetre of 96 / 25.4 px whatever the width", () => {
    expect(fitScale(265, 300, 1.25, "actual")).toBe(96 / 25.4);
    expect(footer({ ...facts, scale: TRUE_SIZE, gain: 20, speed: 50 })[0]).toContain("50 mm/s, 20 mm/mV (life size");
  });
});

describe("footer", () => {
  it("says the speed on the grid and the effective speed on the screen", () => {
    const [speed] = footer(facts);
    expect(speed).toBe("25 mm/s, 10 mm/mV on the grid; on screen 15.9 mm/s, 6.3 mm/mV (63 % of life size)");
    expect(footer({ ...facts, scale: TRUE_SIZE })[0]).toBe("25 mm/s, 10 mm/mV (life size at 96 px per inch)");
  });

  it("names filters, decimation and moved baselines, and their absence where that matters", () => {
    const text = footer(facts).join(" ");
    expect(text).toContain("500 Hz");
    expect(text).toContain("no filter");
    expect(text).toContain("min and max of each pixel column (8.3 samples)");
    const other = footer({ ...facts, samplingRate: 50, filters: "0.05-150 Hz", shift: 1.25 }).join(" ");
    expect(other).toContain("filters: 0.05-150 Hz");
    expect(other).not.toContain("pixel column");
    expect(other).toContain("baselines moved by up to 1.25 mV");
  });
});

describe("slower paper", () => {
  it("says its own speed, the grid's lines, and of how many samples a column is made", () => {
    const slow = { ...facts, speed: 0.1389, ruling: "grid 1 min, 0.5 mV", decimation: 16, samplingRate: 62.5 };
    const text = footer({ ...slow, samplingRateRecorded: 500 });
    expect(text[0]).toBe("0.139 mm/s, 10 mm/mV on the grid; on screen 0.088 mm/s, 6.3 mm/mV (63 % of life size)");
    expect(text[1]).toBe("grid 1 min, 0.5 mV");
    expect(text.join(" ")).toContain("500 Hz");
    expect(text.join(" ")).toContain("each column: least and greatest of 1500 samples");
    expect(text.join(" ")).not.toContain("pixel column");
  });
});
