// What is selected: from a choice in a panel to stretches of time, and back to cells. Pure.
import { letter, type Segmentation } from "../segmentation.ts";
import type { Selection } from "../state.ts";

export type Interval = readonly [number, number];

/** What a button in a panel selects. */
export type Choice =
  | { readonly cluster: number; readonly wave?: number }
  | { readonly from: number; readonly to: number };

/** As text in an attribute: "3", "3.2" (in the wave 2), "3>4". */
export function choiceKey(choice: Choice): string {
  return "from" in choice
    ? `${choice.from}>${choice.to}`
    : `${choice.cluster}${choice.wave === undefined ? "" : `.${choice.wave}`}`;
}

export function readChoice(key: string): Choice | null {
  const parts = /^(\d+)(?:([.>])(-?\d+))?$/.exec(key);
  if (!parts) {
    return null;
  }
  const [first, second] = [Number(parts[1]), Number(parts[3])];
  if (parts[2] === ">") {
    return { from: first, to: second };
  }
  return parts[2] ? { cluster: first, wave: second } : { cluster: first };
}

/** Named by letters, which stay while the number of clusters moves. */
export function choiceLabel(segmentation: Segmentation, choice: Choice): string {
  if ("from" in choice) {
    return `${letter(segmentation, choice.from)} to ${letter(segmentation, choice.to)}`;
  }
  const cluster = `cluster ${letter(segmentation, choice.cluster)}`;
  return choice.wave === undefined ? cluster : `${cluster} in ${waveName(segmentation, choice.wave)}`;
}

export function waveName({ waveNames }: Segmentation, code: number): string {
  return code < 0 ? "not marked" : (waveNames[code] ?? `code ${code}`);
}

/** The cells of a choice; of a transition the last cell before and the first cell after it. */
export function chosenCells(segmentation: Segmentation, choice: Choice): Uint8Array {
  const { cluster, wave } = segmentation;
  const n = cluster.length;
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    if ("from" in choice) {
      if (i + 1 < n && cluster[i] === choice.from && cluster[i + 1] === choice.to) {
        out[i] = out[i + 1] = 1;
      }
    } else if (cluster[i] === choice.cluster && (choice.wave === undefined || wave?.[i] === choice.wave)) {
      out[i] = 1;
    }
  }
  return out;
}

/** Neighbouring cells as stretches of time, s, to the microsecond. */
export function stretches(cells: Uint8Array, borders: Float64Array): Interval[] {
  const out: [number, number][] = [];
  const round = (time: number) => Math.round(time * 1e6) / 1e6;
  for (let i = 0; i < cells.length; i++) {
    if (cells[i]) {
      const first = i;
      while (cells[i + 1]) {
        i++;
      }
      out.push([round(borders[first]!), round(borders[i + 1]!)]);
    }
  }
  return out;
}

/** Cells whose middle is selected; null where nothing of this record is. */
export function selectedCells(segmentation: Segmentation, selection: Partial<Selection>): Uint8Array | null {
  const { intervals = [], record } = selection;
  if (intervals.length === 0 || record !== segmentation.record) {
    return null;
  }
  const { centre } = segmentation;
  const out = new Uint8Array(centre.length);
  let at = 0;
  for (let i = 0; i < centre.length; i++) {
    while (at < intervals.length && intervals[at]![1] <= centre[i]!) {
      at++;
    }
    out[i] = at < intervals.length && centre[i]! >= intervals[at]![0] ? 1 : 0;
  }
  return out;
}

/** "cluster A, 12 stretches, 1.32 s" */
export function selectionText({ intervals = [], label = "" }: Partial<Selection>): string {
  const seconds = intervals.reduce((sum, [start, end]) => sum + end - start, 0);
  const parts = `${intervals.length} ${intervals.length === 1 ? "stretch" : "stretches"}`;
  return [label, parts, `${seconds.toFixed(2)} s`].filter(Boolean).join(", ");
}

/** How often each cluster is followed by each other one in neighbouring cells, (from, to) row-major. */
export function transitions({ cluster, slot }: Segmentation): Uint32Array {
  const k = slot.length;
  const out = new Uint32Array(k * k);
  for (let i = 0; i + 1 < cluster.length; i++) {
    const [a, b] = [cluster[i]!, cluster[i + 1]!];
    if (a >= 0 && b >= 0 && a !== b) {
      out[a * k + b]! += 1;
    }
  }
  return out;
}

/** Points inside a closed line: even-odd; both as x, y pairs. */
export function inside(points: ArrayLike<number>, line: readonly number[]): Uint8Array {
  const n = points.length / 2;
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const [x, y] = [points[2 * i]!, points[2 * i + 1]!];
    let within = false;
    for (let a = 0, b = line.length - 2; a < line.length; b = a, a += 2) {
      const [ax, ay, bx, by] = [line[a]!, line[a + 1]!, line[b]!, line[b + 1]!];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) {
        within = !within;
      }
    }
    out[i] = within ? 1 : 0;
  }
  return out;
}
