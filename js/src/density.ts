// Shares of clusters along a recording whose cells are too narrow to be seen: stacked colours.
import type { Area } from "./layout.ts";
import type { Pen } from "./pen.ts";
import type { Dataset, Values } from "./wire.ts";
import { find, numbers } from "./wire.ts";

/** Of windows spread evenly over the whole recording, the share of each cluster. */
export interface Density {
  /** (window, cluster), row-major, 255 = all cells */
  readonly share: Values;
  /** s, middle of each window */
  readonly centre: Values;
  readonly nClusters: number;
  /** Windows here, and windows that the recording has. */
  readonly windows: readonly [number, number];
}

export function readDensity(ds: Dataset, nClusters: number): Density | null {
  const variable = find(ds, "density");
  if (!variable) {
    return null;
  }
  const share = numbers(ds, "density");
  const centre = numbers(ds, "density_centre");
  if (variable.dims.join() !== "window,cluster" || share.length !== centre.length * nClusters) {
    throw new RangeError(
      `density: expected (window, cluster) of ${centre.length} x ${nClusters}, got ${variable.dims} of ${variable.shape}`,
    );
  }
  const windows = ds.attrs.density_windows;
  const [drawn, all] = Array.isArray(windows) ? windows.map(Number) : [];
  return { share, centre, nClusters, windows: [drawn ?? centre.length, all ?? centre.length] };
}

/** Each window stands for the time that is nearer to it than to another one. */
export function drawDensity(
  c: Pen,
  mm: number,
  area: Area,
  { share, centre, nClusters }: Density,
  colours: readonly string[],
  pointed: number,
): void {
  const y = Math.round(area.y * mm);
  const tall = Math.round(area.height * mm);
  const edge = (time: number) => {
    const inside = time < area.t0 ? area.t0 : time > area.t1 ? area.t1 : time;
    return Math.round((area.x + (inside - area.t0) * area.speed) * mm);
  };
  const n = centre.length;
  for (let i = 0; i < n; i++) {
    const half = n > 1 ? (i > 0 ? centre[i]! - centre[i - 1]! : centre[1]! - centre[0]!) / 2 : 5;
    const after = i + 1 < n ? (centre[i + 1]! - centre[i]!) / 2 : half;
    const [left, right] = [edge(centre[i]! - half), edge(centre[i]! + after)];
    let sum = 0;
    for (let k = 0; k < nClusters; k++) {
      sum += share[i * nClusters + k]!;
    }
    if (right <= left || sum === 0) {
      continue;
    }
    // What rounding to a byte leaves over is shared by all; a window that is masked in part fills as much less.
    const whole = sum > 245 ? sum : 255;
    let under = 0;
    for (let k = 0; k < nClusters; k++) {
      const value = share[i * nClusters + k]!;
      if (value > 0) {
        const from = Math.round((tall * under) / whole);
        under += value;
        const to = Math.round((tall * under) / whole);
        c.globalAlpha = pointed >= 0 && pointed !== k ? 0.25 : 1;
        c.fillStyle = colours[k] ?? "#888888";
        c.fillRect(left, y + tall - to, right - left, to - from);
      }
    }
  }
  c.globalAlpha = 1;
}
