// Conventions of ECG paper: one scale for both axes, so that a square millimetre stays square.

/** mm on paper for one second */
export const SPEED = 25;
/** mm on paper for one millivolt */
export const GAIN = 10;
/** CSS defines 96 px as one inch. */
export const TRUE_SIZE = 96 / 25.4;

/** mm: the small and the large square */
export const SMALL = 1;
export const LARGE = 5;

export interface Theme {
  readonly paper: string;
  readonly ink: string;
  readonly muted: string;
  readonly faint: string;
  readonly small: string;
  readonly large: string;
  readonly uncertain: string;
  readonly hatch: string;
  readonly accent: string;
  readonly caliper: string;
  readonly alert: string;
  /** Opacity of the bands behind the trace. */
  readonly band: number;
}

export const LIGHT: Theme = {
  paper: "#ffffff",
  ink: "#101214",
  muted: "#5c6167",
  faint: "#c4c7cb",
  small: "rgba(200, 70, 60, 0.13)",
  large: "rgba(200, 70, 60, 0.30)",
  uncertain: "#dcdee1",
  hatch: "rgba(70, 76, 84, 0.30)",
  accent: "#1565c0",
  caliper: "#a0005e",
  alert: "#c62828",
  band: 0.45,
};

export const DARK: Theme = {
  paper: "#15171a",
  ink: "#f4f5f6",
  muted: "#a4abb3",
  faint: "#464b52",
  small: "rgba(255, 150, 140, 0.10)",
  large: "rgba(255, 150, 140, 0.24)",
  uncertain: "#3b3f45",
  hatch: "rgba(210, 216, 224, 0.28)",
  accent: "#64b5f6",
  caliper: "#ff8fd0",
  alert: "#ff8a80",
  band: 0.45,
};

/** CSS px for one mm; below this the picture scrolls, for a smaller one could not be read. */
export const SMALLEST = 2;

/** "fit": as large as the page allows, at most life size; "actual": a millimetre is a millimetre at 96 px per inch. */
export type Size = "fit" | "actual";

/**
 * CSS px for one mm: as large as the width allows, at most life size and at least SMALLEST.
 * A large square is a whole number of device pixels, so that the lines of the grid are evenly sharp; not so in life size.
 */
export function fitScale(paperWidth: number, available: number, devicePixelRatio: number, size: Size = "fit"): number {
  if (size === "actual") {
    return TRUE_SIZE;
  }
  const wanted = Math.min(available / paperWidth, TRUE_SIZE * 1.01) * LARGE * devicePixelRatio;
  return Math.max(Math.floor(wanted + 1e-6), Math.ceil(SMALLEST * LARGE * devicePixelRatio)) / LARGE / devicePixelRatio;
}

export interface Facts {
  readonly samplingRate: number;
  readonly filters: string;
  readonly note: string;
  readonly units: string;
  /** CSS px for one mm */
  readonly scale: number;
  readonly devicePixelRatio: number;
  /** What the layout says of itself: arrangement and window. */
  readonly arrangement: readonly string[];
  /** Largest shift of a lead's baseline in the picture, mV. */
  readonly shift: number;
  /** mm of paper for one second, 25 if left out, and for one unit of the signal, 10 if left out */
  readonly speed?: number;
  readonly gain?: number;
  /** Samples of which only the least and the greatest are here; 1 if left out */
  readonly decimation?: number;
  /** Hz as recorded, where the samples here are fewer */
  readonly samplingRateRecorded?: number;
  /** Filters of this picture alone, and what is to be seen of limits, as text. */
  readonly display?: string;
  readonly flags?: string;
  /** What the lines of the grid are apart, where that is not 0.04 s and 0.2 s. */
  readonly ruling?: string;
}

/** What a reader must know to measure on this picture, most important first. */
export function footer(facts: Facts): string[] {
  const { speed = SPEED, gain = GAIN, decimation = 1 } = facts;
  const rate = facts.samplingRateRecorded ?? facts.samplingRate;
  const ratio = facts.scale / TRUE_SIZE;
  const perPixel = rate / (speed * facts.scale * facts.devicePixelRatio);
  const written = `${Number(speed.toPrecision(3))} mm/s, ${gain} mm/${facts.units}`;
  const screen = Number((speed * ratio).toPrecision(speed < 1 ? 2 : 3));
  return [
    Math.abs(ratio - 1) < 0.015
      ? `${written} (life size at 96 px per inch)`
      : `${written} on the grid; on screen ${speed < 10 ? screen : (speed * ratio).toFixed(1)} mm/s, ` +
        `${(gain * ratio).toFixed(1)} mm/${facts.units} (${Math.round(100 * ratio)} % of life size)`,
    ...(facts.ruling ? [facts.ruling] : []),
    ...facts.arrangement,
    `${Number(rate.toFixed(2))} Hz`,
    facts.filters ? `filters: ${facts.filters}` : "no filter",
    ...(facts.display ? [facts.display] : []),
    ...(facts.flags ? [facts.flags] : []),
    ...(facts.shift > 0 ? [`baselines moved by up to ${facts.shift.toFixed(2)} ${facts.units}`] : []),
    ...(decimation > 1
      ? [`each column: least and greatest of ${Math.round(Math.max(perPixel, decimation))} samples`]
      : []),
    ...(decimation === 1 && perPixel > 1 ? [`min and max of each pixel column (${perPixel.toFixed(1)} samples)`] : []),
    ...(facts.note ? [facts.note] : []),
  ];
}
