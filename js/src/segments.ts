// Threshold -> runs of cells, share of uncertain cells and the text that says what is shown. Pure.
import { letter, type Segmentation } from "./segmentation.ts";
import type { Values } from "./wire.ts";

export type Kind = "cluster" | "uncertain" | "masked";

/** Neighbouring cells that look alike. Times in s. */
export interface Run {
  readonly kind: Kind;
  /** Cluster of a certain run; -1 otherwise. */
  readonly cluster: number;
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
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

export function kindOf(segmentation: Segmentation, cell: number, threshold: number): Kind {
  if (!segmentation.valid[cell] || segmentation.cluster[cell]! < 0) {
    return "masked";
  }
  return isUncertain(segmentation.entropy[cell]!, threshold) ? "uncertain" : "cluster";
}

export function findRuns(segmentation: Segmentation, borders: Float64Array, threshold: number): Run[] {
  const runs: Run[] = [];
  const n = segmentation.centre.length;
  let first = 0;
  while (first < n) {
    const kind = kindOf(segmentation, first, threshold);
    const cluster = kind === "cluster" ? segmentation.cluster[first]! : -1;
    let last = first;
    while (
      last + 1 < n &&
      kindOf(segmentation, last + 1, threshold) === kind &&
      (kind !== "cluster" || segmentation.cluster[last + 1] === cluster)
    ) {
      last++;
    }
    runs.push({ kind, cluster, first, last, start: borders[first]!, end: borders[last + 1]! });
    first = last + 1;
  }
  return runs;
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
  let known = 0;
  let uncertain = 0;
  for (let i = 0; i < segmentation.centre.length; i++) {
    const kind = kindOf(segmentation, i, threshold);
    known += kind === "masked" ? 0 : 1;
    uncertain += kind === "uncertain" ? 1 : 0;
  }
  return known === 0 ? 0 : (100 * uncertain) / known;
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
  const masked = segmentation.centre.length > 0 && segmentation.cluster.every((k) => k < 0);
  return [
    `${segmentation.nClusters} clusters`,
    masked ? "no data: every cell is masked" : `${share} % uncertain`,
    predictionText(segmentation, target),
    segmentation.layers.join(" + "),
    segmentation.device,
  ]
    .filter(Boolean)
    .join(", ");
}

/** What the pointer is on, as text. */
export function cellText(segmentation: Segmentation, cell: number, threshold: number): string {
  const kind = kindOf(segmentation, cell, threshold);
  const field = `sees ${segmentation.width[cell]!.toFixed(2)} s`;
  if (kind === "masked") {
    return `no data, ${field}`;
  }
  const name = `cluster ${letter(segmentation, segmentation.cluster[cell]!)}`;
  const entropy = `entropy ${segmentation.entropy[cell]!.toFixed(2)}${kind === "uncertain" ? " (uncertain)" : ""}`;
  return `${name}, ${entropy}, ${field}`;
}
