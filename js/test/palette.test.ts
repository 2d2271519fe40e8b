import { describe, expect, it } from "vitest";
import { clusterColours, luminance, TEN, TWENTY, textOn } from "../src/palette.ts";

const slots = (n: number) => Uint8Array.from({ length: n }, (_, i) => i);

describe("colours", () => {
  it("are all different, ten or twenty", () => {
    expect(new Set(TEN).size).toBe(10);
    expect(new Set(TWENTY).size).toBe(20);
  });

  it("come from the ten up to K = 10 and from the twenty above, never from both", () => {
    expect(clusterColours(slots(10))).toEqual([...TEN]);
    expect(clusterColours(slots(20))).toEqual([...TWENTY]);
    expect(clusterColours(slots(11)).every((colour, i) => colour === TWENTY[i])).toBe(true);
    expect(clusterColours([3, 12])).toEqual([TWENTY[3], TWENTY[12]]);
  });

  it("follow the slot, not the number of the cluster", () => {
    expect(clusterColours([4, 0])).toEqual([TEN[4], TEN[0]]);
  });

  it("carry letters with a contrast of at least 4.5", () => {
    for (const colour of [...TEN, ...TWENTY]) {
      const [a, b] = [luminance(colour), luminance(textOn(colour))];
      expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThan(4.5);
    }
  });
});
