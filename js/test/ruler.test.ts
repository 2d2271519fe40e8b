import { describe, expect, it } from "vitest";
import { axisStep, clock, ruling, rulingText, timeText } from "../src/ruler.ts";

describe("times", () => {
  it("are written as hours and minutes, with seconds where asked", () => {
    expect([clock(0, true), clock(3723.4, true), clock(61200, false)]).toEqual(["0:00:00", "1:02:03", "17:00"]);
    expect([timeText(10), timeText(60), timeText(5430), timeText(86400), timeText(0.2)]).toEqual([
      "10 s",
      "1 min",
      "1 h 30 min",
      "24 h",
      "0.2 s",
    ]);
  });
});

describe("grid", () => {
  it("is that of ECG paper at 25 mm/s", () => {
    expect(ruling(25)).toEqual({ small: 0.04, large: 0.2 });
  });

  it("stands at round times that can be told apart at every slower speed", () => {
    for (const seconds of [30, 60, 300, 1800, 7200, 10000, 86400, 1209600]) {
      const speed = 250 / seconds;
      const { small, large } = ruling(speed);
      expect(large * speed).toBeGreaterThanOrEqual(5 - 1e-9);
      expect(large * speed).toBeLessThan(30);
      if (small > 0) {
        expect(small * speed).toBeGreaterThanOrEqual(1.25);
        expect(large / small).toBeCloseTo(Math.round(large / small));
      }
      expect(axisStep(speed, 22) * speed).toBeGreaterThanOrEqual(22 - 1e-9);
    }
    expect(rulingText(250 / 60)).toBe("grid 1 s and 5 s, 0.5 mV");
  });
});
