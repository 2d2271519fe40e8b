// Round times and how they are written; which lines of the grid can be told apart at a speed.
import { GAIN, LARGE, SMALL, SPEED } from "./paper.ts";

/** s; each is a whole number of the one before it, but for the tens */
const STEPS = [0.04, 0.2, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400];

/** The shortest round time of at least `apart` mm at a speed in mm/s. */
export function axisStep(speed: number, apart: number): number {
  return STEPS.find((step) => step * speed >= apart - 1e-9) ?? Math.ceil(apart / speed / 86400) * 86400;
}

export interface Ruling {
  /** s from line to line; small 0 = none */
  readonly small: number;
  readonly large: number;
}

/** At 25 mm/s the millimetre paper of every ECG: 0.04 s and 0.2 s. Slower, round times that stay apart. */
export function ruling(speed: number): Ruling {
  if (speed === SPEED) {
    return { small: SMALL / SPEED, large: LARGE / SPEED };
  }
  const large = axisStep(speed, LARGE);
  const small = STEPS.find((step) => step * speed >= 1.25 && step < large && isWhole(large / step)) ?? 0;
  return { small, large };
}

/** What the lines of the grid are apart. */
export function rulingText(speed: number, gain: number = GAIN): string {
  const { small, large } = ruling(speed);
  return `grid ${small > 0 ? `${timeText(small)} and ` : ""}${timeText(large)}, ${LARGE / gain} mV`;
}

/** "0:05", "1:02:03" or "17:00" (h:min); with seconds where they matter. */
export function clock(time: number, seconds: boolean): string {
  const all = Math.max(0, Math.round(time));
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return seconds ? `${h}:${two(m)}:${two(s)}` : `${h}:${two(m)}`;
}

/** "10 s", "5 min", "23 h 59 min": a length of time. */
export function timeText(seconds: number): string {
  if (seconds < 1) {
    return `${Number(seconds.toFixed(2))} s`;
  }
  const all = Math.round(seconds);
  const parts = [
    [Math.floor(all / 3600), "h"],
    [Math.floor(all / 60) % 60, "min"],
    [all % 60, "s"],
  ] as const;
  const named = parts.filter(([value]) => value > 0).map(([value, unit]) => `${value} ${unit}`);
  return named.slice(0, 2).join(" ") || "0 s";
}

function isWhole(value: number): boolean {
  return Math.abs(value - Math.round(value)) < 1e-6;
}
