// How far two segmentations of one record agree: time in common, and what of it chance does not explain. Pure.
import type { Segmentation } from "./segmentation.ts";
import { cellAt } from "./segments.ts";

/** Of a step, where it is read; as in ecg_widget/comparison.py, where a reason stands. */
const WITHIN = 0.49;

export interface Cells {
  readonly segmentation: Segmentation;
  readonly borders: Float64Array;
}

export interface Agreement {
  /** s: clusters of the first in rows, of the second in columns */
  readonly overlap: Float64Array;
  readonly rows: number;
  readonly columns: number;
  /** s in which both show a cluster */
  readonly compared: number;
  /** Share of it in which both have the same colour. */
  readonly same: number;
  readonly ami: number;
  readonly ari: number;
  /** bit */
  readonly vi: number;
}

export function agreementOf(a: Cells, b: Cells): Agreement {
  const [rows, columns] = [a.segmentation.slot.length, b.segmentation.slot.length];
  const overlap = new Float64Array(rows * columns);
  const edges = Float64Array.from([...a.borders, ...b.borders]).sort();
  for (let i = 0; i + 1 < edges.length; i++) {
    const at = pairAt(a, b, (edges[i]! + edges[i + 1]!) / 2);
    if (at >= 0) {
      overlap[at]! += edges[i + 1]! - edges[i]!;
    }
  }
  const counts = new Float64Array(rows * columns);
  const step = Math.min(strideOf(a), strideOf(b));
  const [from, to] = [Math.max(a.borders[0]!, b.borders[0]!), Math.min(a.borders.at(-1)!, b.borders.at(-1)!)];
  for (let i = 0; i < Math.floor((to - from) / step + 1e-6); i++) {
    const at = pairAt(a, b, from + (i + WITHIN) * step);
    if (at >= 0) {
      counts[at]! += 1;
    }
  }
  const compared = sum(overlap);
  let same = 0;
  for (let at = 0; at < overlap.length; at++) {
    same += a.segmentation.slot[Math.floor(at / columns)] === b.segmentation.slot[at % columns] ? overlap[at]! : 0;
  }
  return {
    ...{ overlap, rows, columns, compared, same: compared > 0 ? same / compared : Number.NaN },
    ...{ ami: adjustedMutual(counts, columns), ari: adjustedRand(counts, columns), vi: variation(overlap, columns) },
  };
}

/** Place in the table of what both sides show at a time; -1 where either shows nothing. */
function pairAt(a: Cells, b: Cells, time: number): number {
  const [one, two] = [clusterAt(a, time), clusterAt(b, time)];
  return one < 0 || two < 0 ? -1 : one * b.segmentation.slot.length + two;
}

export function clusterAt({ segmentation, borders }: Cells, time: number): number {
  const cell = cellAt(borders, time);
  return cell >= 0 && segmentation.valid[cell] ? segmentation.cluster[cell]! : -1;
}

/** Overlap over union of two clusters; NaN where neither is there. */
export function jaccard({ overlap, rows, columns }: Agreement, row: number, column: number): number {
  const both = overlap[row * columns + column]!;
  let either = -both;
  for (let j = 0; j < columns; j++) {
    either += overlap[row * columns + j]!;
  }
  for (let i = 0; i < rows; i++) {
    either += overlap[i * columns + column]!;
  }
  return both / either;
}

/** s; as ecg_widget/comparison.py counts */
function strideOf({ borders }: Cells): number {
  const n = borders.length - 1;
  return n > 0 ? (borders[n]! - borders[0]!) / n : Number.POSITIVE_INFINITY;
}

/** Adjusted mutual information: 0 by chance, 1 for equal partitions. */
export function adjustedMutual(counts: Float64Array, columns: number): number {
  const n = sum(counts);
  const [byRow, byColumn] = margins(counts, columns);
  if (n === 0) {
    return Number.NaN;
  }
  const [h1, h2] = [entropyOf(byRow, n), entropyOf(byColumn, n)];
  const filled = counts.reduce((all, count) => all + (count > 0 ? 1 : 0), 0);
  if (filled === byRow.filter(Boolean).length && filled === byColumn.filter(Boolean).length) {
    return 1;
  }
  const mutual = Math.max(0, h1 + h2 - entropyOf(counts, n));
  const chance = chanceOf(byRow, byColumn, n);
  const above = (h1 + h2) / 2 - chance;
  return (mutual - chance) / (above < 0 ? Math.min(above, -Number.EPSILON) : Math.max(above, Number.EPSILON));
}

/** Mutual information of random partitions with these margins, nat (Vinh, Epps and Bailey 2010). */
function chanceOf(byRow: Float64Array, byColumn: Float64Array, n: number): number {
  const factorial = new Float64Array(n + 1); // logarithms
  for (let i = 1; i <= n; i++) {
    factorial[i] = factorial[i - 1]! + Math.log(i);
  }
  let chance = 0;
  for (const a of byRow) {
    for (const b of byColumn) {
      const fixed = factorial[a]! + factorial[b]! + factorial[n - a]! + factorial[n - b]! - factorial[n]!;
      for (let both = Math.max(1, a + b - n); both <= Math.min(a, b); both++) {
        const log =
          fixed - factorial[both]! - factorial[a - both]! - factorial[b - both]! - factorial[n - a - b + both]!;
        chance += (both / n) * Math.log((n * both) / (a * b)) * Math.exp(log);
      }
    }
  }
  return chance;
}

/** Adjusted Rand index. */
export function adjustedRand(counts: Float64Array, columns: number): number {
  const n = sum(counts);
  const pairs = (values: Float64Array) => values.reduce((all, x) => all + x * (x - 1), 0);
  const [byRow, byColumn] = margins(counts, columns);
  const [one, two] = [pairs(byRow), pairs(byColumn)];
  const chance = (one * two) / Math.max(n * (n - 1), 1);
  const most = (one + two) / 2;
  return n === 0 ? Number.NaN : most === chance ? 1 : (pairs(counts) - chance) / (most - chance);
}

/** Variation of information, bit: what either says that the other does not. */
export function variation(seconds: Float64Array, columns: number): number {
  const total = sum(seconds);
  const [byRow, byColumn] = margins(seconds, columns);
  const nat = 2 * entropyOf(seconds, total) - entropyOf(byRow, total) - entropyOf(byColumn, total);
  return total > 0 ? Math.max(0, nat) / Math.LN2 : Number.NaN;
}

function margins(table: Float64Array, columns: number): [Float64Array, Float64Array] {
  const byRow = new Float64Array(table.length / columns);
  const byColumn = new Float64Array(columns);
  table.forEach((value, at) => {
    byRow[Math.floor(at / columns)]! += value;
    byColumn[at % columns]! += value;
  });
  return [byRow, byColumn];
}

function entropyOf(values: Float64Array, total: number): number {
  return values.reduce((all, x) => (x > 0 ? all - (x / total) * Math.log(x / total) : all), 0);
}

function sum(values: Float64Array): number {
  return values.reduce((all, x) => all + x, 0);
}
