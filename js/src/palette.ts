// Colours of clusters. A letter always goes with the colour.

/** Petroff 2021, "Accessible color sequences for data visualization": ten colours. */
export const TEN = [
  "#3f90da",
  "#ffa90e",
  "#bd1f01",
  "#94a4a2",
  "#832db6",
  "#a96b59",
  "#e76300",
  "#b9ac70",
  "#717581",
  "#92dadd",
] as const;

/** Twenty colours at least 13.0 CAM02-UCS apart for normal and three colour-deficient kinds of vision, as bands 6.1. */
export const TWENTY = [
  "#9070ff",
  "#d06020",
  "#70e0b0",
  "#701000",
  "#f0c0f0",
  "#105060",
  "#50b0a0",
  "#c0e000",
  "#708060",
  "#4000a0",
  "#b03000",
  "#8050a0",
  "#a0b070",
  "#6010ff",
  "#408080",
  "#c0a0ff",
  "#505040",
  "#d0a010",
  "#b080c0",
  "#400050",
] as const;

/** The colour of every cluster. One list serves all of them: colours of two lists may be confused. */
export function clusterColours(slots: ArrayLike<number>): string[] {
  const all = Array.from(slots);
  const list = all.length <= TEN.length && all.every((slot) => slot < TEN.length) ? TEN : TWENTY;
  return all.map((slot) => list[slot % list.length]!);
}

/** Relative luminance of "#rrggbb" as WCAG 2 defines it, 0..1. */
export function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever stands out more on a colour. */
export function textOn(colour: string): string {
  return luminance(colour) > 0.179 ? "#000000" : "#ffffff";
}
