// Threshold -> runs of cells, what changed between two of them, share of uncertain cells and the text that says what is shown. Pure.
import { signed } from "./element.ts";
import { letter, type Segmentation } from "./segmentation.ts";
import type { Values } from "./wire.ts";

/** What a cell looks like: its cluster (0 and more), or one of these. */
export const UNCERTAIN = -1;
export const MASKED = -2;

/** Neighbouring cells that look alike, in typed arrays that are used again for every frame. */
export class Runs {
  length = 0;
  look = new Int16Array(64);
  first = new Int32Array(64);
  last = new Int32Array(64);

  push(look: number, first: number, last: number): void {
    if (this.length === this.look.length) {
      const grown = <T extends Int16Array | Int32Array>(old: T, larger: T): T => {
        larger.set(old);
        return larger;
      };
      this.look = grown(this.look, new Int16Array(2 * this.length));
      this.first = grown(this.first, new Int32Array(2 * this.length));
      this.last = grown(this.last, new Int32Array(2 * this.length));
    }
    this.look[this.length] = look;
    this.first[this.length] = first;
    this.last[this.length++] = last;
  }
}

/**
 * Borders between cells: the midpoint of neighbouring centres, `centre.length + 1` values.
 * The outer cells reach to the ends of the recording, yet never farther than one cell: where a network
 * sees only part of a recording, the rest is not theirs.
 */
export function cellBorders(centre: Values, start: number, end: number): Float64Array {
  const n = centre.length;
  const borders = new Float64Array(n + 1);
  for (let i = 1; i < n; i++) {
    borders[i] = (centre[i - 1]! + centre[i]!) / 2;
  }
  if (n > 0) {
    const head = n > 1 ? centre[1]! - centre[0]! : Number.POSITIVE_INFINITY;
    const tail = n > 1 ? centre[n - 1]! - centre[n - 2]! : Number.POSITIVE_INFINITY;
    borders[0] = centre[0]! - start <= head ? Math.min(start, centre[0]!) : centre[0]! - head / 2;
    borders[n] = end - centre[n - 1]! <= tail ? Math.max(end, centre[n - 1]!) : centre[n - 1]! + tail / 2;
  }
  return borders;
}

/** NumPy compares a float32 array with the float32 of a number; so does the page, or 0.3 would differ. */
export function isUncertain(entropy: number, threshold: number): boolean {
  return entropy > Math.fround(threshold);
}

export function lookOf(segmentation: Segmentation, cell: number, threshold: number): number {
  const cluster = segmentation.cluster[cell]!;
  if (!segmentation.valid[cell] || cluster < 0) {
    return MASKED;
  }
  return isUncertain(segmentation.entropy[cell]!, threshold) ? UNCERTAIN : cluster;
}

/** The runs of cells `from` to `to` (exclusive), into `out`. */
export function findRuns(segmentation: Segmentation, threshold: number, from: number, to: number, out: Runs): void {
  out.length = 0;
  let first = from;
  while (first < to) {
    const look = lookOf(segmentation, first, threshold);
    let next = first + 1;
    while (next < to && lookOf(segmentation, next, threshold) === look) {
      next++;
    }
    out.push(look, first, next - 1);
    first = next;
  }
}

/** Runs of the cells that can be seen: what a recording holds beyond the paper's edge costs nothing. */
export function runsIn(
  overlay: { borders: Float64Array; segmentation: Segmentation; threshold: number } | null,
  [t0, t1]: readonly [number, number],
  out: Runs,
): void {
  out.length = 0;
  if (overlay) {
    const { borders, segmentation, threshold } = overlay;
    const from = Math.max(0, firstAbove(borders, t0) - 1);
    const to = Math.min(segmentation.centre.length, firstAbove(borders, t1));
    findRuns(segmentation, threshold, from, to, out);
  }
}

/**
 * Stretches of cells that look otherwise than before, as pairs first, last in `out`; returns their number.
 * Both are runs of the same cells. A whole run counts as changed when one of its ends does: its letter moves.
 */
export function changedStretches(before: Runs, after: Runs, out: number[]): number {
  let n = 0;
  let b = 0;
  for (let a = 0; a < after.length; a++) {
    const first = after.first[a]!;
    while (b < before.length && before.first[b]! < first) {
      b++;
    }
    const same =
      b < before.length &&
      before.first[b] === first &&
      before.last[b] === after.last[a] &&
      before.look[b] === after.look[a];
    if (!same && n > 0 && out[2 * n - 1] === first - 1) {
      out[2 * n - 1] = after.last[a]!;
    } else if (!same) {
      out[2 * n] = first;
      out[2 * n + 1] = after.last[a]!;
      n++;
    }
  }
  return n;
}

/** Cell whose borders enclose a time, or -1. */
export function cellAt(borders: Float64Array, time: number): number {
  const n = borders.length - 1;
  if (n < 1 || time < borders[0]! || time > borders[n]!) {
    return -1;
  }
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time < borders[middle + 1]!) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/** Share of the unmasked cells above the threshold, in percent; 0 where all are masked. */
export function percentUncertain(segmentation: Segmentation, threshold: number): number {
  const { ranked, known } = segmentation;
  let low = 0;
  let high = ranked.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isUncertain(ranked[middle]!, threshold)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return known === 0 ? 0 : (100 * (ranked.length - low)) / known;
}

/** "NORM 0.93", "age 61.20 years"; "" where the record has no such target. */
export function predictionText(segmentation: Segmentation, target: string): string {
  const index = segmentation.targets.indexOf(target);
  const value = segmentation.prediction[index];
  if (value === undefined) {
    return "";
  }
  const units = segmentation.output === "probability" ? "" : segmentation.predictionUnits;
  return `${target} ${Number.isFinite(value) ? value.toFixed(2) : "no value"}${units && units !== "1" ? ` ${units}` : ""}`;
}

/** What the share in the status counts, and what it must not be taken for. */
export function meaningText(threshold: number): string {
  return `uncertain: entropy above ${threshold.toFixed(2)}, a cell between clusters; not the probability of an error`;
}

export function statusText(segmentation: Segmentation, threshold: number, target: string): string {
  const share = Math.floor(percentUncertain(segmentation, threshold) + 0.5);
  const masked = segmentation.centre.length > 0 && segmentation.known === 0;
  return [
    `${segmentation.nClusters} clusters`,
    masked ? "no data: every cell is masked" : segmentation.centre.length > 0 ? `${share} % uncertain` : "",
    predictionText(segmentation, target),
    segmentation.layers.join(" + "),
    segmentation.device,
  ]
    .filter(Boolean)
    .join(", ");
}

/** What the pointer is on, as text. */
export function cellText(segmentation: Segmentation, cell: number, threshold: number): string {
  const look = lookOf(segmentation, cell, threshold);
  const field = `sees ${segmentation.width[cell]!.toFixed(2)} s`;
  if (look === MASKED) {
    return `no data, ${field}`;
  }
  const name = `cluster ${letter(segmentation, segmentation.cluster[cell]!)}`;
  const entropy = `entropy ${segmentation.entropy[cell]!.toFixed(2)}${look === UNCERTAIN ? " (uncertain)" : ""}`;
  return `${name}, ${entropy}, ${field}`;
}

/** What the cell's cluster adds to the target's output, all its cells together; nothing where that is unknown. */
export function contributionText(segmentation: Segmentation, cell: number, target: string): string[] {
  const at = segmentation.targets.indexOf(target);
  const cluster = segmentation.cluster[cell]!;
  const value = segmentation.contribution?.values[cluster * segmentation.targets.length + at];
  if (at < 0 || cluster < 0 || !segmentation.valid[cell] || value === undefined || !Number.isFinite(value)) {
    return [];
  }
  const unit = segmentation.output === "probability" ? "logit" : segmentation.predictionUnits;
  return [`cluster ${letter(segmentation, cluster)} adds ${signed(value)} ${unit} to ${target}`.replace("  ", " ")];
}

/** Index of the first value above a limit in an ascending list. */
function firstAbove(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! > limit) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
